/** Finds the messages in the sources of the program: texts of errors, of log lines and of findings. A value in a
 *  message is `${}`. Used for docs/troubleshooting.md, so that the page has every message. */

/** A message in the sources. */
export interface Message {
  /** What prints it: a class of errors, a method of the log, of the findings of `--check`, or "text" for any other
   *  literal that begins with "unable to". */
  readonly kind: string;
  readonly text: string;
}

const SITE =
  /new (FatalError|UsageError|Unsupported|ConnectionError)\(|\b(?:log\??|findings|out|this)\.(error|warning|notice|detail|info|tolerable|fatal)\(|\b(warn|say|report|error|warning|tolerable)\(/g;

/** Returns the messages of one source, in its order. */
export function messagesIn(source: string): Message[] {
  const code = withoutComments(source);
  const found: Message[] = [];
  for (const match of code.matchAll(SITE)) {
    const kind = match[1] ?? match[2] ?? match[3] ?? "";
    for (const text of firstArgument(code, match.index + match[0].length)) {
      found.push({ kind, text });
    }
  }
  for (const match of code.matchAll(/["`](?=unable to )/g)) {
    const [text] = literal(code, match.index) ?? [];
    if (text !== undefined) found.push({ kind: "text", text });
  }
  return found;
}

/** Returns the texts of all literals of a source. */
export function literalsIn(source: string): string[] {
  const code = withoutComments(source);
  const found: string[] = [];
  for (let i = 0; i < code.length; i++) {
    if (code[i] !== '"' && code[i] !== "`") continue;
    const [text, end] = literal(code, i) ?? ["", i];
    found.push(text);
    i = end;
  }
  return found;
}

/** Comments become blanks, so that their quotes begin no literal. A slash in a literal stays. */
function withoutComments(source: string): string {
  return source.replaceAll(
    /("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/.*/g,
    (all, text: string | undefined) => text ?? " ".repeat(all.length),
  );
}

/** The texts that the argument at `at` can have: a literal, literals joined by `+`, or those of a condition. */
function firstArgument(code: string, at: number): string[] {
  const texts: string[] = [];
  let text: string | undefined;
  let depth = 0;
  for (let i = at; i < code.length; i++) {
    const char = code[i] as string;
    if (char === '"' || char === "`") {
      const [part, end] = literal(code, i) ?? ["", i];
      text = (text ?? "") + (depth === 0 ? part : "${}");
      i = end;
    } else if ("([{".includes(char)) depth++;
    else if (")]}".includes(char)) {
      if (depth-- === 0) break;
    } else if (depth === 0 && char === ",") break;
    else if (depth === 0 && (char === "?" || char === ":") && text !== undefined) {
      if (char === ":") texts.push(text);
      text = undefined;
    }
  }
  if (text !== undefined) texts.push(text);
  return texts.filter((one) => / /.test(one));
}

/** The text of the literal at `at`, and the place of its end. */
function literal(code: string, at: number): [text: string, end: number] | undefined {
  const quote = code[at];
  let text = "";
  for (let i = at + 1; i < code.length; i++) {
    const char = code[i] as string;
    if (char === quote) return [text, i];
    if (char === "\\") text += code[++i] ?? "";
    else if (quote === "`" && char === "$" && code[i + 1] === "{") {
      let depth = 0;
      for (i++; i < code.length; i++) {
        if (code[i] === "`") i = literal(code, i)?.[1] ?? i;
        else if (code[i] === "{") depth++;
        else if (code[i] === "}" && --depth === 0) break;
      }
      text += "${}";
    } else if (char === "\n" && quote === '"') return undefined;
    else text += char;
  }
  return undefined;
}
