// What is chosen about columns is shown at once. Without this, a button asks for it.

const form = document.getElementById("columns");
let asked = 0;

function query() {
  const chosen = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (name !== "form_token" && value) chosen.set(name, value);
  return chosen;
}

async function show() {
  const mine = ++asked;
  const seen = document.getElementById("seen");
  seen.setAttribute("aria-busy", "true");
  const focused = document.activeElement?.name && seen.contains(document.activeElement) ? [document.activeElement.name, document.activeElement.value] : null;
  try {
    const answer = await fetch(`${form.dataset.place}?${query()}`, { headers: { accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked) return;
    if (!answer.ok || !fresh.getElementById("seen")) return location.assign(answer.url);
    for (const id of ["seen", "detected"]) document.getElementById(id).replaceWith(fresh.getElementById(id));
    form.elements.read_as.value = fresh.querySelector('[name="read_as"]').value;
    const address = new URL(answer.url);
    address.searchParams.delete("read_as");
    history.replaceState(null, "", address);
    if (focused) {
      const again = [...form.elements].find((field) => field.name === focused[0] && (field.type !== "radio" || field.value === focused[1]));
      again?.focus();
    }
  } catch {
    seen.removeAttribute("aria-busy");
  }
}

// There is one text: choosing another column takes the role from the first. JSON rows may have texts and chats.
function oneText(field) {
  if (field.value !== "text" || !/^c\d+$/.test(field.name)) return;
  for (const other of form.querySelectorAll('input[value="text"]:checked')) {
    if (other === field) continue;
    form.querySelector(`input[name="${other.name}"][value="unused"]`).checked = true;
  }
}

form.addEventListener("change", (event) => {
  if (event.target.name.startsWith("share_")) return;
  oneText(event.target);
  show();
});
