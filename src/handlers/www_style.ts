/** The style sheet of --www's page, for light and dark screens and for paper. */

export const STYLE = `
:root{--bg:#f6f7f9;--card:#fff;--ink:#16202b;--dim:#5b6875;--line:#e1e6ec;--mark:#0a7a55;--tint:#e5f5ee;
--mono:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media(prefers-color-scheme:dark){:root{--bg:#0f1419;--card:#171e26;--ink:#e7edf3;--dim:#93a1b0;
--line:#28323d;--mark:#5ad8a6;--tint:#12302a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:3.5rem;padding-bottom:1rem}
.eyebrow{margin:0;color:var(--mark);font-size:.8rem;font-weight:600;letter-spacing:.09em;
text-transform:uppercase}
h1{margin:.3rem 0 .6rem;font-size:clamp(1.9rem,5vw,3.1rem);line-height:1.1;letter-spacing:-.02em}
h1 span{display:block;margin-top:.35rem;color:var(--dim);font:500 clamp(.95rem,2.4vw,1.3rem)/1.3 var(--mono);
letter-spacing:0;overflow-wrap:anywhere}
.lead{margin:0;color:var(--dim);font-size:1.05rem}
.lead strong{color:var(--ink)}
section{margin:1.25rem 0;padding:1.35rem 1.5rem;background:var(--card);border:1px solid var(--line);
border-radius:14px}
h2{margin:0 0 .8rem;font-size:1.15rem;letter-spacing:-.01em}
h3{display:flex;justify-content:space-between;margin:0 0 .5rem;font-size:.92rem}
.note{margin:-.4rem 0 1rem;color:var(--dim);font-size:.9rem}
small{color:var(--dim);font-weight:400;font-size:.82em}
dl{margin:0}
dl div{display:grid;grid-template-columns:minmax(9rem,15rem) 1fr;gap:.25rem 1.25rem;padding:.45rem 0;
border-top:1px solid var(--line)}
dl div:first-child{border-top:0}
dt{color:var(--dim)}
dd{margin:0;font-family:var(--mono);font-size:.9rem;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:1rem}
.card{padding:1rem 1.1rem;border:1px solid var(--line);border-radius:10px}
ol{margin:0;padding:0;list-style:none;font-family:var(--mono);font-size:.8rem}
li{padding:.17rem .45rem;border-radius:6px;overflow-wrap:anywhere}
li.chosen{display:flow-root;background:var(--tint);color:var(--mark)}
li.chosen small{color:inherit}
li em{float:right;font:600 .7rem/1.9 system-ui,sans-serif;letter-spacing:.05em;text-transform:uppercase}
table{width:100%;border-collapse:collapse;font-size:.88rem}
th,td{padding:.5rem .9rem .5rem 0;border-top:1px solid var(--line);text-align:left;vertical-align:top}
thead th{border:0;color:var(--dim);font-weight:500}
tbody th{font-weight:500;font-family:var(--mono);font-size:.84rem;width:18rem}
td{font-family:var(--mono);font-size:.82rem;color:var(--dim);overflow-wrap:anywhere}
details{margin-top:.9rem}
summary{cursor:pointer;color:var(--mark);font-weight:600}
pre{margin:.7rem 0 0;padding:1rem;overflow:auto;background:var(--bg);border-radius:10px;
font:.78rem/1.5 var(--mono)}
footer{padding-top:.5rem;padding-bottom:3rem;color:var(--dim);font-size:.88rem}
@media(max-width:40rem){dl div{grid-template-columns:1fr}section{padding:1.1rem}tbody th{width:auto}
th,td{display:block;border-top:0;padding:.1rem 0}tr{display:block;padding:.5rem 0;
border-top:1px solid var(--line)}thead{display:none}}
@media print{body{background:#fff}section{border:0;padding:0}}
`;
