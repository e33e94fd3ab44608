// Tables that sort: a click on a header of `table[data-sorts]` sorts by that column, numbers first from the highest.

function keyOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.key === undefined ? cell.textContent.trim() : Number(cell.dataset.key);
}

function order(a, b, sign) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // what has no number stands last, either way
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
}

function sort(head) {
  const column = head.cellIndex;
  const body = head.closest("table").tBodies[0];
  const first = head.classList.contains("number") ? "descending" : "ascending";
  const other = first === "descending" ? "ascending" : "descending";
  const direction = head.getAttribute("aria-sort") === first ? other : first;
  for (const cell of head.parentElement.cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  body.append(...[...body.rows].sort((a, b) => order(keyOf(a, column), keyOf(b, column), sign)));
}

export function prepare(root) {
  for (const head of root.querySelectorAll("table[data-sorts] thead th")) {
    if (head.querySelector("button") || !head.textContent.trim()) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorts";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head));
    head.append(button);
  }
}

document.addEventListener("fresh", (event) => prepare(event.detail));
prepare(document);
