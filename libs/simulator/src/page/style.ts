/** The page's style sheet. Colours are variables, light and dark; text in the picture has a halo so that lines may pass behind it. */
export const STYLE = `
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1b2330; --soft: #667085; --line: #d5dae2; --lane: #98a2b3; --accent: #3056d3; --accent-soft: #3056d31c;
  --good: #117a47; --good-bg: #dcf5e7; --bad: #b42318; --bad-bg: #fde6e3; --ready: #4b3bb8; --ready-bg: #e9e6fd; --warn: #8a5300; --warn-bg: #fdf0d3; --plain-bg: #eceff3; --cut: #f7902a14; --side-0: #2e90fa1f; --side-1: #ee46bc1a; }
@media (prefers-color-scheme: dark) { :root { --bg: #10141b; --card: #181e28; --ink: #e4e8ef; --soft: #98a3b5; --line: #2c3544; --lane: #566277; --accent: #8ba6ff; --accent-soft: #8ba6ff24;
  --good: #6fdca3; --good-bg: #123524; --bad: #ff9a8f; --bad-bg: #431a17; --ready: #b9adff; --ready-bg: #2a2450; --warn: #f5c567; --warn-bg: #3b2c0c; --plain-bg: #262e3b; --cut: #f7902a12; --side-0: #2e90fa24; --side-1: #ee46bc1f; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html, body { height: 100%; margin: 0; }
body { display: flex; flex-direction: column; background: var(--bg); color: var(--ink); font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header { padding: 12px 18px 10px; border-bottom: 1px solid var(--line); background: var(--card); }
h1 { display: inline; margin: 0 10px 0 0; font-size: 19px; }
header .facts { color: var(--soft); }
header .facts b { color: var(--ink); font-weight: 600; }
.outcome { display: inline-block; margin: 0 4px 0 0; padding: 1px 10px; border-radius: 10px; background: var(--plain-bg); font-weight: 600; }
.outcome.good { background: var(--good-bg); color: var(--good); } .outcome.bad { background: var(--bad-bg); color: var(--bad); } .outcome.warn { background: var(--warn-bg); color: var(--warn); }
.replay { display: flex; gap: 8px; align-items: center; margin-top: 6px; }
code { font: 12px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.replay code { overflow-x: auto; padding: 3px 8px; border-radius: 5px; background: var(--plain-bg); white-space: nowrap; }
.broken { margin-top: 8px; padding: 8px 12px; border-radius: 7px; background: var(--bad-bg); color: var(--bad); font-weight: 600; overflow-wrap: anywhere; }
button svg { display: block; width: 13px; height: 13px; margin: 3px 0; fill: currentColor; }
button, select { padding: 3px 10px; border: 1px solid var(--line); border-radius: 6px; background: var(--card); color: inherit; font: inherit; cursor: pointer; }
button:hover { border-color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
main { display: grid; flex: 1; grid-template-columns: minmax(0, 1fr) 372px; min-height: 0; }
#pane { overflow: auto; position: relative; }
.sheet { display: grid; grid-template-columns: max-content max-content; width: max-content; }
.sheet svg { display: block; }
.corner, .gutter { position: sticky; left: 0; z-index: 2; background: var(--bg); }
.corner, .heads { position: sticky; top: 0; z-index: 3; height: 34px; background: var(--bg); }
.corner { z-index: 4; padding: 9px 12px 0 0; text-align: right; color: var(--soft); font-size: 11px; }
aside { display: flex; flex-direction: column; gap: 10px; overflow: auto; padding: 12px; border-left: 1px solid var(--line); }
.card { flex: none; padding: 10px 12px; border: 1px solid var(--line); border-radius: 9px; background: var(--card); }
.controls { display: flex; flex-wrap: wrap; gap: 5px; align-items: center; }
.controls input { flex: 1 0 100%; accent-color: var(--accent); }
#play .bars, #play.playing .triangle { display: none; } #play.playing .bars { display: block; }
#position { margin-left: auto; color: var(--soft); font-variant-numeric: tabular-nums; }
#now { min-height: 132px; }
#now.violation, #now.crash, #now.lose { border-color: var(--bad); }
#when { color: var(--soft); font-size: 12px; }
#what { margin: 2px 0 6px; font-weight: 600; overflow-wrap: anywhere; }
#meaning { color: var(--soft); font-size: 13px; }
table { width: 100%; table-layout: fixed; border-collapse: collapse; font-size: 12.5px; }
th { padding: 2px 6px 4px 0; color: var(--soft); font-weight: 500; text-align: left; }
td { padding: 3px 6px 3px 0; border-top: 1px solid var(--line); overflow-wrap: break-word; vertical-align: top; }
td small { display: block; color: var(--soft); }
th:first-child { width: 30%; }
td.changed { background: var(--accent-soft); box-shadow: -4px 0 0 var(--accent-soft); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 10px; margin: 0; font-size: 12.5px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.keys { color: var(--soft); font-size: 12px; }
kbd { padding: 0 5px; border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 4px; font: 11px ui-monospace, monospace; }
svg text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
.gutter text { text-anchor: end; font-size: 11px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.gutter .idle { font-size: 10px; font-style: italic; }
.heads rect { fill: var(--card); stroke: var(--line); } .heads text { text-anchor: middle; font-weight: 600; }
.diagram { color: var(--ink); }
.diagram text { paint-order: stroke; stroke: var(--bg); stroke-width: 5px; stroke-linejoin: round; pointer-events: none; }
.diagram [data-e] { transition: opacity .12s; }
.row { fill: transparent; cursor: pointer; } .row:hover { fill: var(--accent-soft); } .row.now { fill: var(--accent-soft); stroke: var(--accent); stroke-opacity: .45; }
.band { fill: var(--cut); pointer-events: none; } .side { pointer-events: none; } .side-0 { fill: var(--side-0); } .side-1 { fill: var(--side-1); }
line.lane { stroke: var(--lane); stroke-width: 1.5; pointer-events: none; } line.lane.down { stroke: var(--bad); stroke-dasharray: 2 7; } line.lane.absent { stroke-opacity: .35; stroke-dasharray: 1 6; }
#head path { fill: context-stroke; }
.message { fill: none; stroke: var(--accent); stroke-width: 1.4; marker-end: url(#head); cursor: pointer; }
.message.copy { stroke-dasharray: 5 3; } .message.lost { stroke: var(--bad); marker-end: none; stroke-opacity: .75; } .message.open { stroke-dasharray: 2 4; marker-end: none; }
.message.flying { stroke-width: 2.2; stroke-dasharray: 6 4; } .message.now { stroke-width: 2.6; }
.future { opacity: .22; } .row.future, .band.future, .side.future { opacity: .35; } .other { opacity: .07; }
.mark { cursor: pointer; } .mark.now text { font-weight: 700; }
.send text { fill: var(--accent); } .lose path { stroke: var(--bad); stroke-width: 2.2; } .lose text { fill: var(--bad); font-size: 10.5px; }
.flush rect { fill: var(--good); } .flush text { fill: var(--good); font-size: 11px; } .flush .refused rect { fill: var(--bad); } .flush .refused text { fill: var(--bad); }
.step .cause { fill: var(--soft); font-size: 10.5px; } .tick { fill: var(--lane); }
.client path { fill: none; stroke: var(--soft); stroke-width: 1.3; stroke-dasharray: 5 3; marker-end: url(#head); }
.answer path { fill: none; stroke: var(--good); stroke-width: 1.4; stroke-dasharray: 5 3; marker-end: url(#head); } .answer text { fill: var(--good); font-weight: 600; }
.diagram .chip text { stroke: none; font-size: 11px; }
.chip rect { stroke: var(--lane); stroke-opacity: .45; fill: var(--plain-bg); } .chip.good rect { fill: var(--good-bg); } .chip.good text { fill: var(--good); } .chip.bad rect { fill: var(--bad-bg); } .chip.bad text { fill: var(--bad); }
.chip.ready rect { fill: var(--ready-bg); } .chip.ready text { fill: var(--ready); } .chip.warn rect { fill: var(--warn-bg); } .chip.warn text { fill: var(--warn); }
.chip.pill rect { fill: var(--card); stroke-opacity: 1; } .crash .chip rect { fill: var(--bad); stroke: none; } .diagram .crash .chip text { fill: var(--bg); font-weight: 600; }
.restart .chip rect, .take-over .chip rect { fill: var(--good); stroke: none; } .diagram .restart .chip text, .diagram .take-over .chip text { fill: var(--bg); font-weight: 600; }
.clock .chip rect, .slow .chip rect { fill: var(--warn-bg); } .clock .chip text, .slow .chip text { fill: var(--warn); }
.cut rect, .join rect { fill: var(--warn-bg); } .diagram .cut text, .diagram .join text { fill: var(--warn); stroke: none; font-weight: 600; }
.heal rect { fill: var(--good-bg); } .heal text { fill: var(--good); stroke: none; font-weight: 600; } .diagram .heal text, .diagram .violation text { stroke: none; }
.violation rect { fill: var(--bad); } .diagram .violation text { fill: var(--bg); font-weight: 700; }
@media (max-width: 900px) { main { grid-template-columns: minmax(0, 1fr); grid-template-rows: minmax(0, 1fr) 44%; } aside { border-left: 0; border-top: 1px solid var(--line); } }
@media print { html, body { height: auto; } main { display: block; } #pane { overflow: visible; } .controls, .keys, .replay button { display: none; } }
`;
