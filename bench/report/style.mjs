// How the report looks, by day and by night.
// In:  nothing.
// Out: CSS.
// Absent: fonts and images from elsewhere.

export const style = `
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --text: #1d2125; --soft: #5c656e;
  --line: #e3e5e8; --accepted: #2f6fd0; --persisted: #0a8f63; --lag: #b7791f; --memory: #7b54c4;
  --program: #2f6fd0; --postgres: #0a8f63; --broker: #b7791f; --load: #9aa3ad; --limit: #c2413b;
  --shade: #2f6fd00f; --good: #0a7d52; --bad: #c2413b }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1b1f23; --text: #e4e7ea;
  --soft: #9aa4ae; --line: #2d333a; --accepted: #6ea5f5; --persisted: #43c594; --lag: #e0ac54;
  --memory: #b598f0; --program: #6ea5f5; --postgres: #43c594; --broker: #e0ac54; --load: #78828d;
  --limit: #f0736d; --shade: #6ea5f514; --good: #43c594; --bad: #f0736d } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; margin: 0 0 4px } h2 { font-size: 19px; margin: 40px 0 2px }
p { margin: 4px 0 12px } .soft { color: var(--soft) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px;
  margin: 20px 0 }
.card, figure, .scroll { background: var(--card); border: 1px solid var(--line); border-radius: 8px }
.card { padding: 12px 16px } .card b { display: block; font-size: 22px; font-weight: 600 }
.card span { color: var(--soft); font-size: 13px }
figure { margin: 12px 0; padding: 10px 14px 6px }
figcaption { font-size: 13px; color: var(--soft); margin-bottom: 4px; display: flex;
  flex-wrap: wrap; gap: 4px 16px; justify-content: space-between }
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px }
.key::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px;
  margin-right: 5px; background: var(--key) }
svg { display: block; width: 100%; height: auto } svg text { font-size: 11px; fill: var(--soft) }
svg .small { font-size: 10px } .grid { stroke: var(--line) }
.line { fill: none; stroke: var(--key); stroke-width: 1.8; stroke-linejoin: round }
.bar, .dot { fill: var(--key) } .range { stroke: var(--key); stroke-width: 2; opacity: .45 }
.window { fill: var(--shade) } .mark { stroke: var(--soft); stroke-dasharray: 2 3; opacity: .7 }
.level { stroke: var(--limit); stroke-dasharray: 5 4 } svg .levelled { fill: var(--limit) }
.accepted { --key: var(--accepted) } .persisted { --key: var(--persisted) }
.lag { --key: var(--lag) } .memory { --key: var(--memory) } .program { --key: var(--program) }
.postgres { --key: var(--postgres) } .broker { --key: var(--broker) } .load { --key: var(--load) }
.limit { --key: var(--limit) } .a { --key: var(--load) } .b { --key: var(--accepted) }
.scroll { overflow-x: auto; margin: 12px 0 } table { border-collapse: collapse; width: 100%;
  font-size: 13px; font-variant-numeric: tabular-nums } th, td { padding: 6px 12px; text-align: right;
  white-space: nowrap; border-top: 1px solid var(--line) } tr:first-child th { border-top: 0 }
th { font-weight: 600; color: var(--soft) } th:first-child, td:first-child { text-align: left;
  position: sticky; left: 0; background: var(--card) } td:first-child { font-weight: 600 }
.good { color: var(--good) } .bad { color: var(--bad); font-weight: 600 }
pre { white-space: pre-wrap; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 10px 14px; font-size: 13px }
footer { margin-top: 48px; color: var(--soft); font-size: 13px }
`
