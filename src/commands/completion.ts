/** Completions for bash, zsh and fish, made from the tables of options. One script completes all
 *  names. The operands are followed by a command, which the shell completes in its usual way, or by
 *  further options. */

import type { Shell } from "../config/options.ts";
import { COMPLETED, type CompletedName, type CompletedOption, valueOf } from "./completed_names.ts";

/** The script for a shell. Ends with a newline. */
export function completionScript(shell: Shell): string {
  const names = COMPLETED.map(({ name }) => name).join(", ");
  return { bash, zsh, fish }[shell](
    `# ${shell} completion for ${names}. Made by: sslserver --completion ${shell}`,
  );
}

const namesOf = (options: readonly CompletedOption[]): string[] => options.map(({ name }) => name);

/** The options that have a value. */
const withValue = (options: readonly CompletedOption[]): CompletedOption[] =>
  options.filter((option) => valueOf(option) !== undefined);

const isLong = ({ name }: CompletedOption): boolean => name.startsWith("--");

/** A name as part of the name of a shell function. */
const plain = (name: string): string => name.replace("@", "_at").replaceAll("-", "_");

function bash(made: string): string {
  return `${made}\n${COMPLETED.map(bashFunction).join("")}`;
}

function bashFunction({ name, options, operands, further }: CompletedName): string {
  const count = operands.length;
  if (count === 0) return bashWithoutOperands(name, options);
  const valued = namesOf(withValue(options)).join("|");
  // bash splits https@ into two words.
  const first = name.includes("@") ? "first" : "1";
  const shift = name.includes("@") ? `\n  [[ \${COMP_WORDS[1]} == @ ]] && first=2` : "";
  const local = `local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}`;
  const ports = operands.flatMap((operand, i) => operand === "port" ? [i] : []);
  return `
_${plain(name)}() {
  ${local} i operands=0${shift && " first=1"}${shift}
  for ((i = ${first}; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
${valued && `      ${valued}) ((i++)) ;;\n`}      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= ${count})); then
${further ? bashOptions(further, "    ") : bashCommand(count)}    return
  fi
  case $operands in
    0) ;;
    ${ports.join("|")}) COMPREPLY=($(compgen -A service -- "$word")); return ;;
    *) return ;;
  esac
${bashOptions(options, "  ")}  COMPREPLY=($(compgen -A hostname -W '${hosts(name)}' -- "$word"))
}

complete -F _${plain(name)} ${name}
`;
}

function bashWithoutOperands(name: string, options: readonly CompletedOption[]): string {
  return `
_${plain(name)}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}
${bashOptions(options, "  ")}}

complete -F _${plain(name)} ${name}
`;
}

/** Host operands with a special meaning. */
const hosts = (name: string): string => name === "sslserver" ? "0 :: :0" : "0";

function bashCommand(operands: number): string {
  return `    # What follows is a command.
    if declare -F _command_offset >/dev/null; then _command_offset $((i + ${operands})); return; fi
    if ((operands == ${operands})); then COMPREPLY=($(compgen -c -- "$word")); return; fi
    COMPREPLY=($(compgen -f -- "$word"))
`;
}

/** Completes an option or the value of one, and returns. Goes on if the word is neither. */
function bashOptions(options: readonly CompletedOption[], indent: string): string {
  const cases = withValue(options).map((option) => {
    const value = valueOf(option);
    const reply = Array.isArray(value)
      ? `COMPREPLY=($(compgen -W '${value.join(" ")}' -- "$word")); `
      : value === "file"
      ? 'COMPREPLY=($(compgen -f -- "$word")); '
      : "";
    return `${indent}  ${option.name}) ${reply}return ;;\n`;
  });
  const values = cases.length === 0
    ? ""
    : `${indent}case $before in\n${cases.join("")}${indent}esac\n`;
  return `${values}${indent}case $word in
${indent}  -*) COMPREPLY=($(compgen -W '${namesOf(options).join(" ")}' -- "$word")); return ;;
${indent}esac
`;
}

function zsh(made: string): string {
  const cases = COMPLETED.map(({ name, options, operands, further }) => {
    if (operands.length === 0) {
      const words = options.map((option) => zshOption(option, false));
      return `  ${name})
    _arguments : \\\n      ${words.join(" \\\n      ")}
    ;;`;
    }
    const places = operands.map((operand, i) =>
      `'${i + 1}:${operand}:${operand === "page" ? " " : `_${operand}s`}'`
    );
    const rest = further ? `'*:::option:_${plain(name)}_further'` : "'*:::program: _normal'";
    const specs = [...options.map((option) => zshOption(option)), ...places, rest];
    return `  ${name})
    _arguments -s -S -A '-*' : \\\n      ${specs.join(" \\\n      ")}
    ;;`;
  });
  const furthers = COMPLETED.flatMap(({ name, further }) => further ? [{ name, further }] : []);
  const functions = furthers.map(({ name, further }) =>
    `_${plain(name)}_further() {
  # _arguments takes the first word for the command.
  words=(${name} "\${words[@]}")
  ((CURRENT++))
  _arguments -s -S : \\\n    ${further.map((option) => zshOption(option)).join(" \\\n    ")}
}
`
  );
  return `#compdef ${COMPLETED.map(({ name }) => name).join(" ")}
${made}

${functions.join("\n")}
case $service in
${cases.join("\n")}
esac
`;
}

/** `attached`: a short option's value may be attached. */
function zshOption(option: CompletedOption, attached = true): string {
  const kind = valueOf(option);
  const help = option.help.replaceAll(/[[\]\\:]/g, "\\$&").replaceAll("'", "'\\''");
  const name = isLong(option) && kind !== undefined ? `${option.name}=` : option.name;
  const value = (option.value ?? "").replaceAll(/[[\]]/g, "");
  const label = Array.isArray(kind) && value.includes("|") ? "value" : value;
  const action = Array.isArray(kind) ? `(${kind.join(" ")})` : kind === "file" ? "_files" : " ";
  const colon = option.value?.startsWith("[") ? "::" : ":";
  const plus = attached && !isLong(option) && kind !== undefined ? "+" : "";
  return `'*${name}${plus}[${help}]${kind === undefined ? "" : `${colon}${label}:${action}`}'`;
}

function fish(made: string): string {
  return `${made}

# Prints how many operands come before the cursor, and their first one's place among the words.
# The arguments are the options that have a value.
function __sslserver_place
    set -l words (commandline -opc)
    set -l i 2
    while test $i -le (count $words)
        if contains -- $words[$i] $argv
            set i (math $i + 1)
        else if not string match -q -- '-?*' $words[$i]
            echo (math (count $words) - $i + 1)
            echo $i
            return
        end
        set i (math $i + 1)
    end
    echo 0
end

# host and port are there: what follows is a command.
function __sslserver_command
    set -l place (__sslserver_place $argv)
    set -l words (commandline -opc) (commandline -ct)
    complete -C (string join ' ' -- (string escape -- $words[(math $place[2] + 2)..-2]) $words[-1])
end
${COMPLETED.map(fishCommand).join("")}`;
}

function fishCommand({ name, options, operands, further }: CompletedName): string {
  if (operands.length === 0) {
    return `\n${
      [`complete -c ${name} -f`, ...options.map((option) => fishOption(name, "", option))].join(
        "\n",
      )
    }\n`;
  }
  const operandsBefore = `__${plain(name)}_operands`;
  const valued = namesOf(withValue(options)).join(" ");
  const begins = `-n 'test (${operandsBefore}) -eq 0'`;
  const ends = `-n 'test (${operandsBefore}) -ge ${operands.length}'`;
  const lines = [
    `complete -c ${name} -f`,
    `complete -c ${name} ${begins} -a '${hosts(name)} (__fish_print_hostnames)'`,
    ...options.map((option) => fishOption(name, begins, option)),
    ...further
      ? further.map((option) => fishOption(name, ends, option))
      : [`complete -c ${name} ${ends} -a '(__sslserver_command ${valued})'`],
  ];
  return `
function ${operandsBefore}
    set -l place (__sslserver_place ${valued})
    echo $place[1]
end
${lines.join("\n")}
`;
}

function fishOption(name: string, when: string, option: CompletedOption): string {
  const kind = valueOf(option);
  const [, letters = ""] = /^--?(.*)$/.exec(option.name) ?? [];
  const kindOfName = isLong(option) ? "-l" : letters.length > 1 ? "-o" : "-s";
  const flag = `${kindOfName} ${letters}`;
  const value = Array.isArray(kind)
    ? ` -x -a '${kind.join(" ")}'`
    : kind === "file"
    ? " -r -F"
    : kind === "text"
    ? " -x"
    : "";
  const help = option.help.replaceAll(/['\\]/g, "\\$&");
  return `complete -c ${name}${when && ` ${when}`} ${flag}${value} -d '${help}'`;
}
