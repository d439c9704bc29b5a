"""How the pages of a report look: in light and dark, on a phone, a screen and paper.

Leaves: one style sheet. Colours are variables, which the pictures use too.
"""

STYLE = """\
:root { color-scheme: light dark; --ink:#1d2733; --faint:#6d7a88; --paper:#fbfaf7; --card:#ffffff;
 --good:#23805f; --fair:#c9821d; --weak:#c0453e; --none:#6d7a88; --fault:#c0453e; --walk:#7a4fc0;
 --ridge:#8a6b3d; --series0:#2f6fb7; --series1:#d9912b; --series2:#2a8f6d; --series3:#7a4fc0;
 --series4:#c0453e; --series5:#5b6b7a; --line:#e4e1d8; }
@media (prefers-color-scheme: dark) { :root { --ink:#e3e8ee; --faint:#93a0ae; --paper:#12171d;
 --card:#1a2129; --good:#4cc79c; --fair:#f0b354; --weak:#f0776f; --none:#93a0ae; --fault:#f0776f;
 --walk:#b692f5; --ridge:#c9a469; --series0:#6aaaf0; --series1:#f0b354; --series2:#4cc79c;
 --series3:#b692f5; --series4:#f0776f; --series5:#93a1b0; --line:#2b343f; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--paper); color:var(--ink); overflow-wrap:break-word;
 font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width:1080px; margin:0 auto; padding:2rem 1rem 4rem; }
h1 { font-size:1.8rem; line-height:1.2; margin:0 0 .6rem; }
h2 { font-size:1.1rem; margin:0 0 .6rem; }
table + h2 { margin-top:1.4rem; }
header p { margin:.4rem 0; }
.quiet, figcaption { color:var(--faint); font-size:.9rem; }
.lead { font-size:1.1rem; max-width:46rem; }
.notes { border-left:4px solid var(--fair); margin:0 0 1rem; padding:.2rem 0 .2rem 1.6rem; }
.badge { display:inline-block; padding:.2rem .8rem; margin:0 .3rem .3rem 0; border-radius:1rem;
 font-weight:600; color:var(--card); background:var(--none); }
.badge.good { background:var(--good); }
.badge.fair { background:var(--fair); }
.badge.weak { background:var(--weak); }
.grid { display:grid; gap:1rem; align-items:start;
 grid-template-columns:repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); margin-bottom:1rem; }
section, figure { background:var(--card); border:1px solid var(--line); border-radius:12px;
 padding:1rem; margin:0 0 1rem; min-width:0; }
.grid > * { margin:0; min-width:0; }
.grid div figure { margin:0; }
.grid div figure + figure { margin-top:1rem; }
svg { width:100%; height:auto; display:block; }
.map { font-size:9px; stroke-linecap:round; }
.map text { fill:var(--ink); }
.map .ticks text { fill:var(--faint); }
.map .names text { paint-order:stroke; stroke:var(--card); stroke-width:2.5px; }
.map .grid-lines { stroke:var(--line); stroke-width:.7; fill:none; }
.map .links path { fill:none; stroke-width:1.1; opacity:.55; }
.map .links.thin path { stroke-width:.4; opacity:.35; }
.map .good path { stroke:var(--good); }
.map .fair path { stroke:var(--fair); }
.map .weak path { stroke:var(--weak); stroke-dasharray:1 3; }
.map .links path:hover { stroke-width:2.5; opacity:1; }
.map .ridge { stroke:var(--ridge); stroke-width:7; opacity:.55; fill:none; }
.map .walk { stroke:var(--walk); stroke-width:1.4; stroke-dasharray:5 4; fill:none; }
.map circle { fill:var(--ink); stroke:var(--card); stroke-width:.8; }
.map circle.walker { fill:var(--walk); }
.map circle.lost { fill:var(--weak); }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:.95rem; }
th, td { text-align:right; padding:.3rem .6rem; border-bottom:1px solid var(--line); }
thead th { font-weight:600; color:var(--faint); vertical-align:bottom; }
th:first-child, .words, table.plain th, table.plain td { text-align:left; }
tbody th { font-weight:inherit; }
details { margin-top:.8rem; }
summary { cursor:pointer; color:var(--series0); }
a { color:var(--series0); }
code { font-size:.95em; overflow-wrap:anywhere; }
.key span { margin-right:1rem; display:inline-block; }
.key .map { display:inline-block; width:2em; height:.8em; vertical-align:middle; }
.key .map .links path { opacity:.8; }
.key i { display:inline-block; width:1.4em; height:.3em; margin-right:.4em; vertical-align:middle;
 border-radius:.2em; }
@media (max-width: 40rem) {
 main { padding:1.2rem .7rem 3rem; }
 h1 { font-size:1.5rem; }
 thead { display:none; }
 table, tbody { display:block; }
 tr { display:grid; grid-template-columns:1fr 1fr; gap:.1rem 1rem; padding:.5rem 0;
  border-bottom:1px solid var(--line); }
 th, td, .words { border:0; padding:0; display:flex; justify-content:space-between; gap:.5rem; }
 tbody th, .words { grid-column:1 / -1; }
 tbody th { font-weight:600; }
 td.words { text-align:right; }
 td.none { display:none; }
 td::before { content:attr(data-is); color:var(--faint); text-align:left; }
}
@media print { section, figure { break-inside:avoid; } }
"""
