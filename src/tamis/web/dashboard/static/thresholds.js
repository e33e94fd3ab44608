// A slider beside each threshold, and beside each share of texts that may go unanswered; what they give follows as they
// move. Without it, numbers are typed and saved.

const data = JSON.parse(document.getElementById("curves")?.textContent || "{}");
const form = document.getElementById("thresholds-form");

// Thresholds are even in log-odds, as scores are: most of them are near 0 or 1.
const EDGE = 0.001;
const toSlider = (value) => { const inside = Math.min(1 - EDGE, Math.max(EDGE, value)); return Math.log(inside / (1 - inside)); };
const toValue = (place) => 1 / (1 + Math.exp(-place));
const scoreScale = { min: toSlider(0), max: toSlider(1), step: 0.02, toSlider, toText: (place) => toValue(place).toFixed(3) };
const shareScale = { min: 0, max: 50, step: 0.5, toSlider: (value) => value, toText: (place) => String(place) };

function at(values, value) {
  const cuts = data.cuts;
  if (value <= cuts[0]) return values[0];
  for (let next = 1; next < cuts.length; next += 1) {
    if (value > cuts[next]) continue;
    const [low, high] = [values[next - 1], values[next]];
    if (low === null || high === null) return value === cuts[next] ? high : low;
    const share = (toSlider(value) - toSlider(cuts[next - 1])) / (toSlider(cuts[next]) - toSlider(cuts[next - 1]));
    return low + (high - low) * Math.min(1, Math.max(0, share));
  }
  return values.at(-1);
}

function fill(row, figures) {
  for (const [name, figure] of Object.entries(figures)) {
    const cell = row.querySelector(`[data-figure-of="${name}"]`);
    if (!cell) continue;
    cell.textContent = figure === null ? "–" : `${(100 * figure).toFixed(1)} %`;
    cell.dataset.key = figure ?? -1;
  }
}

function showLabel(row, value) {
  row.cells[1].dataset.key = value;
  const curve = data.labels[Number(row.dataset.place)];
  if (!curve) return;
  const [precision, recall] = [at(curve[0], value), at(curve[1], value)];
  const f1 = recall === null ? null : precision ? (2 * precision * recall) / (precision + recall) : 0;
  fill(row, { precision, recall, f1 });
}

// The first point always answers; else the rule is the last that costs no more than it may.
function showRule(row, value) {
  const points = data.rules[Number(row.dataset.rule)];
  const point = value > 0 ? points.findLast(([loss]) => loss <= value + 1e-6) : points[0];
  fill(row, { coverage: point[1], accuracy: point[2], oos_recall: point[3] });
}

function prepare(row, scale, show) {
  const number = row.querySelector('input[type="number"]');
  if (!number) return () => {};
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: scale.min, max: scale.max, step: scale.step });
  slider.setAttribute("aria-label", number.getAttribute("aria-label"));
  const shown = () => { slider.setAttribute("aria-valuetext", number.value); show(row, Number(number.value)); };
  const follow = () => { slider.value = scale.toSlider(Number(number.value)); };
  slider.addEventListener("input", () => { number.value = scale.toText(Number(slider.value)); shown(); });
  number.addEventListener("input", () => {
    if (!number.validity.valid || number.value === "") return;
    follow();
    shown();
  });
  number.before(slider);
  follow();
  slider.setAttribute("aria-valuetext", number.value);
  return () => { follow(); shown(); };
}

const labels = data.cuts?.length ? [...form.querySelectorAll("tr[data-place]")].map((row) => prepare(row, scoreScale, showLabel)) : [];
const rules = (form ? [...form.querySelectorAll("tr[data-rule]")] : []).map((row) => prepare(row, shareScale, showRule));
const again = [...labels, ...rules];

if (again.length) {
  form.addEventListener("reset", () => setTimeout(() => again.forEach((act) => act())));
  form.querySelectorAll("[data-live-told]").forEach((told) => { told.hidden = false; });
  form.querySelectorAll("[data-reset]").forEach((button) => { button.hidden = false; });
}
