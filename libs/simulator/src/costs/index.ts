export { LAYOUTS, layoutOf, type Layout, type LayoutName } from './layout.js';
export { measureCost, type Cost, type MeasuredCost } from './measure.js';
export { COMPARED, type ComparedProtocol } from './protocols.js';
export { costRow, costTable, SIZES, type CostRow } from './table.js';
export { renderCosts, renderDifferences } from './render.js';
