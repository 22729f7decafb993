/** Qualification: makes the full names to try from a short host name, by D. J. Bernstein's
 *  rewriting instructions (the page "name qualification" of djbdns). Pure: no I/O.
 *
 *  Instructions are followed in order, each at most once. `=post:new` replaces the name `post`,
 *  `*post:new` replaces the ending `post`, `?post:new` does so if the part before it has no dot
 *  or bracket, `-post:new` replaces a whole name that ends in `post`. A result `x+y+z` means:
 *  try `xy`, then `xz`. */

const KINDS = "=*?-";

/** One instruction. `kind` is its first character. */
export interface RewriteRule {
  kind: string;
  post: string;
  replacement: string;
}

/** Maximum number of rules read, so that a wrong file (a device, a log) cannot fill memory. */
const MAX_RULES = 1000;
/** Maximum number of names tried for one host. Each costs a look-up. */
const MAX_CANDIDATES = 16;

/** Parses a file of instructions. Other lines, such as `#` comments, are ignored. */
export function parseRewriteRules(text: string): RewriteRule[] {
  const rules: RewriteRule[] = [];
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    const kind = line.charAt(0);
    if (kind === "" || !KINDS.includes(kind) || colon < 1) continue;
    rules.push({
      kind,
      post: line.slice(1, colon).toLowerCase(),
      replacement: line.slice(colon + 1).replace(/[ \t\r]+$/, ""),
    });
    if (rules.length === MAX_RULES) break;
  }
  return rules;
}

/** Returns the instructions equivalent to a search list: a name without a dot gets each domain in
 *  turn, and a final dot is removed. */
export function searchListRules(domains: readonly string[]): RewriteRule[] {
  const rules: RewriteRule[] = [{ kind: "*", post: ".", replacement: "" }];
  const endings = searchEndings(domains);
  if (endings.length > 0) {
    rules.unshift({ kind: "?", post: "", replacement: endings.map((one) => `+${one}`).join("") });
  }
  return rules;
}

/** Returns what each domain of a search list adds to a name; the root, `.`, adds nothing. A domain
 *  with a `+` is left out: it is invalid, and `+` separates names in an instruction. */
export function searchEndings(domains: readonly string[]): string[] {
  return domains.filter((domain) => domain !== "" && !domain.includes("+")).map((domain) => {
    const bare = domain.replace(/^\.+|\.+$/g, "");
    return bare === "" ? "" : `.${bare}`;
  });
}

/** Returns the names to try for `host`, in order. The first one that has addresses is used. */
export function qualify(host: string, rules: readonly RewriteRule[]): string[] {
  let name = host;
  for (const rule of rules) name = applyRule(name, rule);
  const [stem = "", ...endings] = name.split("+");
  if (endings.length === 0) return [name];
  return endings.slice(0, MAX_CANDIDATES).map((ending) => stem + ending);
}

function applyRule(name: string, { kind, post, replacement }: RewriteRule): string {
  const pre = name.slice(0, Math.max(name.length - post.length, 0));
  if (name.slice(pre.length).toLowerCase() !== post) return name;
  if (kind === "=" && pre !== "") return name;
  if (kind === "?" && /[.[\]]/.test(pre)) return name;
  return kind === "-" ? replacement : pre + replacement;
}
