// The review queue by keys: numbers pick, Enter accepts, S skips, U takes back. Answers go without leaving the page.

const KEYS = "tamis-queue-keys";
const PATIENCE_MS = 60_000;
let busy = false;
let waiting = [];
let at = 0;

const work = () => document.getElementById("work");
const form = () => work().querySelector("form[data-looking]");
const questions = () => [...(form()?.querySelectorAll("[data-question]") ?? [])];
const isOn = () => { try { return localStorage.getItem(KEYS) !== "off"; } catch { return true; } };

function mark() {
  questions().forEach((question, place) => question.classList.toggle("now", place === at && questions().length > 1));
  const hint = work().querySelector("[data-keys-hint]");
  if (!hint) return;
  hint.hidden = false;
  const button = hint.querySelector("[data-keys]");
  button.setAttribute("aria-pressed", String(isOn()));
  button.textContent = isOn() ? "Turn them off" : "Turn them on";
}

// Of a question with one label, what is chosen last holds: a label, none of them, or what is typed.
function settle(question, changed) {
  const none = question.querySelector("[data-none]");
  const typed = question.querySelector("[data-typed]");
  const labels = [...question.querySelectorAll('input[name^="label-"]')];
  if (changed === none && none.checked) {
    labels.forEach((each) => { each.checked = false; });
    typed.value = "";
  } else if (changed !== none) {
    none.checked = false;
    if (changed === typed && typed.value && labels.some((each) => each.type === "radio")) labels.forEach((each) => { each.checked = false; });
    if (changed !== typed && changed.type === "radio") typed.value = "";
  }
}

function pick(number) {
  const question = questions()[at];
  const input = question?.querySelector(`[data-key="${number}"]`);
  if (!input) return;
  input.checked = input.type === "radio" ? true : !input.checked;
  settle(question, input);
  if (input.type === "radio" && at < questions().length - 1) at += 1;
  mark();
}

function show(page) {
  const fresh = page.getElementById("work");
  if (!fresh) return false;
  const spoken = fresh.querySelector("[data-spoken]");
  const said = spoken?.textContent;
  if (spoken) spoken.textContent = "";
  work().replaceWith(fresh);
  if (spoken) setTimeout(() => { spoken.textContent = said; }, 50);
  for (const id of ["live-train", "live-find"]) {
    const [part, other] = [document.getElementById(id), page.getElementById(id)];
    if (part && other && !part.dataset.live && !part.contains(document.activeElement)) part.replaceWith(other);
  }
  at = 0;
  mark();
  (work().querySelector('[role="alert"]') ? work().querySelector('input[name="new"]') : work().querySelector(".whole"))?.focus({ preventScroll: true });
  return true;
}

async function send(button) {
  const sent = form();
  if (!sent || busy) return;
  busy = true;
  sent.setAttribute("aria-busy", "true");
  try {
    const body = new URLSearchParams(new FormData(sent));
    const answer = await fetch(button?.getAttribute("formaction") ?? sent.action, {
      method: "POST", body, headers: { accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!show(page)) return location.reload();
    if (answer.redirected) history.replaceState(null, "", answer.url);
  } catch {
    sent.removeAttribute("aria-busy");
    delete sent.dataset.sent;
    const said = document.createElement("p");
    said.className = "note error";
    said.setAttribute("role", "alert");
    said.textContent = "The server did not answer. Your choice is still here: press Accept again.";
    sent.querySelector(".note.error")?.remove();
    sent.querySelector(".asked").prepend(said);
    waiting = [];
  }
  busy = false;
  const next = waiting;
  waiting = [];
  next.forEach(press);
}

function press(key) {
  if (busy) return void waiting.push(key);
  if (!form()) return;
  if (/^[0-9]$/.test(key)) pick(key);
  else if (key === "Enter") send(null);
  else if (key === "s") send(form().querySelector("[data-skip]"));
  else if (key === "u") send(form().querySelector("[data-undo]"));
  else if (key === "/") questions()[at]?.querySelector("[data-typed]").focus();
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-looking]")) return;
  event.preventDefault();
  send(event.submitter?.hasAttribute("formaction") ? event.submitter : null);
});

for (const each of ["change", "input"]) {
  document.addEventListener(each, (event) => {
    const question = event.target.closest("[data-question]");
    if (question) settle(question, event.target);
  });
}

document.addEventListener("focusin", (event) => {
  const place = questions().indexOf(event.target.closest("[data-question]"));
  if (place >= 0 && place !== at) { at = place; mark(); }
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-keys]")) return;
  try { localStorage.setItem(KEYS, isOn() ? "off" : "on"); } catch { /* it holds for this page alone */ }
  mark();
});

document.addEventListener("keydown", (event) => {
  if (!isOn() || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
  const on = event.target;
  const isText = on.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");
  if (isText && event.key === "Escape") return on.blur();
  if (isText || on.closest("dialog")) return;
  if (event.key === "Enter" && on.matches("a, button, summary")) return;
  if (event.key === "Enter" && on.closest("form") && on.closest("form") !== form()) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!/^([0-9su/]|Enter)$/.test(key) || (!form() && !busy)) return;
  event.preventDefault();
  press(key);
});

document.addEventListener("fresh", mark);
mark();
