// The style sheet of /docs: for a phone as well as for a desk, light or dark as the reader has it.
// In:  nothing.
// Out: CSS.
// Absent: fonts and images from anywhere.

export const pageStyle = `
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --panel: #f4f6f8; --line: #d5dae0;
  --link: #0b5cad; --get: #0a6b3d; --post: #8a4600;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e8ec; --soft: #9aa5b1; --paper: #14181d; --panel: #1d232a; --line: #36404a;
    --link: #77b7ff; --get: #5fd39a; --post: #f0b068;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body {
  margin: 0 auto; padding: 1rem; max-width: 76rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
h1 small { color: var(--soft); font-weight: normal; font-size: 1rem; }
h2 { font-size: 1.25rem; margin: 0 0 .5rem; }
h2 code { font-size: 1.1rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
code, pre { font: .9rem/1.45 ui-monospace, monospace; }
pre {
  margin: .5rem 0; padding: .75rem; overflow-x: auto; background: var(--panel);
  border: 1px solid var(--line); border-radius: .4rem; overflow-wrap: normal;
}
nav ul { list-style: none; margin: 0; padding: 0; }
nav li { padding: .2rem 0; }
nav b { display: inline-block; min-width: 3.2rem; font-size: .8rem; color: var(--soft); }
section { margin: 2rem 0; padding-top: 1rem; border-top: 1px solid var(--line); }
.method { font-size: .9rem; letter-spacing: .03em; }
.get { color: var(--get); }
.post { color: var(--post); }
.type { color: var(--soft); }
.place { color: var(--soft); font-style: italic; font-size: .9rem; }
dl { margin: 0; }
dt { margin-top: .6rem; }
dd { margin: 0 0 0 1rem; }
dd dl { border-left: 2px solid var(--line); padding-left: .75rem; }
dd p { margin: .1rem 0; }
@media (min-width: 60rem) {
  body { display: grid; grid-template-columns: 21rem minmax(0, 1fr); column-gap: 2.5rem; }
  header { grid-column: 1 / -1; }
  nav { position: sticky; top: 1rem; align-self: start; max-height: 95vh; overflow: auto; }
}
`
