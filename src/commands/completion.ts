/** Completions for bash, zsh and fish, made from the table of options. After host and port comes a
 *  command, which the shell completes as any other. */

import type { Option } from "../config/getopt.ts";
import { OPTIONS } from "../config/option_table.ts";
import { type Options, PAGES, type Shell } from "../config/options.ts";

const ALL: readonly Option<Options>[] = OPTIONS.flatMap(({ options }) => options);

/** The script for a shell. Ends with a newline. */
export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}

/** Names of values that are paths. */
const FILES = ["rules", "file", "folder"];

/** The possible values of an option: these words, a file, or free text; undefined: it has no
 *  value. */
function valueOf(
  { name, value }: Option<Options>,
): readonly string[] | "file" | "text" | undefined {
  if (value === undefined) return undefined;
  if (name === "--man") return PAGES;
  if (value.includes("|")) return value.split("|");
  return FILES.includes(value) || name === "--metrics" ? "file" : "text";
}

const isLong = ({ name }: Option<Options>): boolean => name.startsWith("--");

function bash(): string {
  const words = ALL.filter((option) => Array.isArray(valueOf(option)));
  const files = ALL.filter((option) => valueOf(option) === "file").map(({ name }) => name);
  const texts = ALL.filter((option) => valueOf(option) === "text").map(({ name }) => name);
  const cases = words.map((option) =>
    `    ${option.name}) COMPREPLY=($(compgen -W '${
      (valueOf(option) as string[]).join(" ")
    }' -- "$word")); return ;;`
  );
  return `# bash completion for sslserver. Made by: sslserver --completion bash

_sslserver() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} i operands=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${[...files, ...texts, ...words.map(({ name }) => name)].join("|")}) ((i++)) ;;
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 2)); then
    # host and port are there: what follows is a command.
    if declare -F _command_offset >/dev/null; then _command_offset $((i + 2)); return; fi
    if ((operands == 2)); then COMPREPLY=($(compgen -c -- "$word")); return; fi
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  if ((operands == 1)); then COMPREPLY=($(compgen -A service -- "$word")); return; fi
  case $before in
${cases.join("\n")}
    ${files.join("|")}) COMPREPLY=($(compgen -f -- "$word")); return ;;
    ${texts.join("|")}) return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '${ALL.map(({ name }) => name).join(" ")}' -- "$word")) ;;
    *) COMPREPLY=($(compgen -A hostname -W '0 :: :0' -- "$word")) ;;
  esac
}

complete -F _sslserver sslserver
`;
}

function zsh(): string {
  const specs = ALL.map((option) => {
    const kind = valueOf(option);
    const help = option.help.replaceAll(/[[\]\\:]/g, "\\$&").replaceAll("'", "'\\''");
    const name = isLong(option) && kind !== undefined ? `${option.name}=` : option.name;
    const value = (option.value ?? "").replaceAll(/[[\]]/g, "");
    const label = Array.isArray(kind) && value.includes("|") ? "value" : value;
    const action = Array.isArray(kind) ? `(${kind.join(" ")})` : kind === "file" ? "_files" : " ";
    const colon = option.value?.startsWith("[") ? "::" : ":";
    // A short option's value may be attached or the next word.
    const plus = !isLong(option) && kind !== undefined ? "+" : "";
    return `  '*${name}${plus}[${help}]${kind === undefined ? "" : `${colon}${label}:${action}`}'`;
  });
  return `#compdef sslserver
# zsh completion for sslserver. Made by: sslserver --completion zsh

_arguments -s -S -A '-*' : \\
${specs.join(" \\\n")} \\
  '1:host:_hosts' \\
  '2:port:_ports' \\
  '*:::program: _normal'
`;
}

function fish(): string {
  const lines = ALL.map((option) => {
    const kind = valueOf(option);
    const flag = isLong(option) ? `-l ${option.name.slice(2)}` : `-s ${option.name.slice(1)}`;
    const value = Array.isArray(kind)
      ? ` -x -a '${kind.join(" ")}'`
      : kind === "file"
      ? " -r -F"
      : kind === "text"
      ? " -x"
      : "";
    const help = option.help.replaceAll(/['\\]/g, "\\$&");
    return `complete -c sslserver -n __sslserver_options ${flag}${value} -d '${help}'`;
  });
  const taking = ALL.filter((option) => valueOf(option) !== undefined).map(({ name }) => name);
  return `# fish completion for sslserver. Made by: sslserver --completion fish

# Prints how many operands come before the cursor, and their first one's place among the words.
function __sslserver_operands
    set -l words (commandline -opc)
    set -l i 2
    while test $i -le (count $words)
        switch $words[$i]
            case ${taking.join(" ")}
                set i (math $i + 1)
            case '-?*'
            case '*'
                echo (math (count $words) - $i + 1)
                echo $i
                return
        end
        set i (math $i + 1)
    end
    echo 0
end

function __sslserver_options
    test (__sslserver_operands)[1] -eq 0
end

# host and port are there: what follows is a command.
function __sslserver_command
    set -l place (__sslserver_operands)
    set -l words (commandline -opc) (commandline -ct)
    complete -C (string join ' ' -- (string escape -- $words[(math $place[2] + 2)..-2]) $words[-1])
end

complete -c sslserver -f
complete -c sslserver -n __sslserver_options -a '0 :: :0 (__fish_print_hostnames)'
complete -c sslserver -n 'test (__sslserver_operands)[1] -ge 2' -a '(__sslserver_command)'
${lines.join("\n")}
`;
}
