// A slider beside each threshold; precision, recall and F1 follow as it moves. Without it, numbers are typed and saved.

const data = JSON.parse(document.getElementById("curves")?.textContent || "{}");
const form = document.getElementById("thresholds-form");

// Thresholds are even in log-odds, as scores are: most of them are near 0 or 1.
const EDGE = 0.001;
const toSlider = (value) => { const inside = Math.min(1 - EDGE, Math.max(EDGE, value)); return Math.log(inside / (1 - inside)); };
const toValue = (place) => 1 / (1 + Math.exp(-place));

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

function show(row, value) {
  const curve = data.labels[Number(row.dataset.place)];
  if (!curve) return;
  const [precision, recall] = [at(curve[0], value), at(curve[1], value)];
  const f1 = recall === null ? null : precision ? (2 * precision * recall) / (precision + recall) : 0;
  for (const [name, figure] of Object.entries({ precision, recall, f1 })) {
    const cell = row.querySelector(`[data-figure-of="${name}"]`);
    cell.textContent = figure === null ? "–" : `${(100 * figure).toFixed(1)} %`;
    cell.dataset.key = figure ?? -1;
  }
}

function prepare(row) {
  const number = row.querySelector('input[type="number"]');
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: toSlider(0), max: toSlider(1), step: 0.02, value: toSlider(Number(number.value)) });
  slider.setAttribute("aria-label", number.getAttribute("aria-label"));
  const told = () => slider.setAttribute("aria-valuetext", number.value);
  slider.addEventListener("input", () => {
    number.value = toValue(Number(slider.value)).toFixed(3);
    row.cells[1].dataset.key = number.value;
    told();
    show(row, Number(number.value));
  });
  number.addEventListener("input", () => {
    if (!number.validity.valid || number.value === "") return;
    slider.value = toSlider(Number(number.value));
    row.cells[1].dataset.key = number.value;
    told();
    show(row, Number(number.value));
  });
  number.before(slider);
  told();
  return () => { slider.value = toSlider(Number(number.value)); told(); show(row, Number(number.value)); };
}

if (form && data.cuts?.length) {
  const again = [...form.querySelectorAll("tr[data-place]")].map(prepare);
  form.addEventListener("reset", () => setTimeout(() => again.forEach((act) => act())));
  form.querySelector("[data-live-told]").hidden = false;
  form.querySelector("[data-reset]").hidden = false;
}
