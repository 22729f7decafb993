/** Qualification: from a short host name to the full names to try, by D. J. Bernstein's rewriting
 *  instructions (the page "name qualification" of djbdns). Pure: no I/O.
 *
 *  Instructions are followed in order, each at most once. `=post:new` replaces the name `post`,
 *  `*post:new` replaces the ending `post`, `?post:new` does so when what stands before it has no
 *  dot or bracket, `-post:new` replaces a whole name that ends in `post`. A result `x+y+z` means:
 *  try `xy`, then `xz`. */

const KINDS = "=*?-";

/** One instruction, its kind the first character. */
export interface RewriteRule {
  kind: string;
  post: string;
  replacement: string;
}

/** Rules read at most, so that a wrong file (a device, a log) cannot fill memory. */
const MAX_RULES = 1000;
/** Names tried at most for one host: each costs a look-up. */
const MAX_CANDIDATES = 16;

/** Reads a file of instructions. Lines that are none, `#` comments among them, do nothing. */
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

/** The instructions that a search list stands for: names without a dot get each domain in turn, and
 *  a final dot goes. */
export function searchListRules(domains: readonly string[]): RewriteRule[] {
  const rules: RewriteRule[] = [{ kind: "*", post: ".", replacement: "" }];
  const endings = searchEndings(domains);
  if (endings.length > 0) {
    rules.unshift({ kind: "?", post: "", replacement: endings.map((one) => `+${one}`).join("") });
  }
  return rules;
}

/** What each domain of a search list adds to a name: nothing for the root, `.`. One that holds a `+`
 *  is left out: it is no domain, and the sign separates names in an instruction. */
export function searchEndings(domains: readonly string[]): string[] {
  return domains.filter((domain) => domain !== "" && !domain.includes("+")).map((domain) => {
    const bare = domain.replace(/^\.+|\.+$/g, "");
    return bare === "" ? "" : `.${bare}`;
  });
}

/** The names to try for `host`, in order; the first that has addresses is the one. */
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
