// Where people try a model: answers without a new page, scores as one types where the model is quick, chats that grow.
// Without it, the same form is sent and the same page comes back.

const form = document.querySelector("form[data-question]");
const WAIT_MS = 250;
let latest = null;
let timer = 0;
let stale = false;

async function ask(action, fields) {
  latest?.abort();
  const mine = (latest = new AbortController());
  const answers = document.querySelector("[data-answers]");
  answers.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(action, { method: "POST", body: new URLSearchParams(fields), signal: mine.signal, headers: { accept: "text/html" } });
    if (new URL(answer.url).pathname === "/ui/login") return location.assign(answer.url);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    show(page, answers);
  } catch (error) {
    if (error.name === "AbortError") return;
    say("The server cannot be reached: try again in a moment.");
  }
  if (latest === mine) document.querySelector("[data-answers]").removeAttribute("aria-busy");
}

function show(page, answers) {
  const fresh = page.querySelector("[data-answers]");
  if (!fresh) {
    const lead = page.querySelector("main .lead");
    return say(lead ? lead.textContent : "This did not work: open the page again.");
  }
  const refused = page.querySelector("main > .note.warning, main > .note.error");
  const wrong = page.querySelector("form[data-question] .why-not") ?? refused;
  say(wrong ? wrong.textContent : "");
  if (wrong) return answers.removeAttribute("aria-busy");
  prepare(fresh);
  answers.replaceWith(fresh);
  document.querySelector("[data-status]").textContent = fresh.querySelector("[data-spoken]").textContent;
}

function say(words) {
  let place = form.querySelector(".why-not");
  if (!place && words) {
    place = document.createElement("p");
    place.className = "why-not";
    place.setAttribute("role", "alert");
    form.querySelector(".actions").before(place);
  }
  if (place) {
    place.textContent = words;
    place.hidden = !words;
  }
}

function isEmpty() {
  return [...form.querySelectorAll("textarea")].every((box) => !box.value.trim());
}

function askNow() {
  clearTimeout(timer);
  stale = false;
  const fields = new FormData(form);
  fields.delete("act");
  ask(form.action, fields);
}

// What is in the answers: corrections keep the page where it is, "look closer" puts its text into the box.
function prepare(root) {
  for (const each of root.querySelectorAll("form")) {
    each.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      const fields = new FormData(each);
      if (each.classList.contains("look")) {
        form.querySelector("[name=text]").value = fields.get("text");
        form.querySelector("[name=lines]").checked = false;
        form.scrollIntoView({ block: "nearest" });
        return askNow();
      }
      ask(each.action, fields);
    });
  }
}

function addMessage() {
  const list = form.querySelector("[data-messages]");
  const rows = [...list.children];
  const row = rows.at(-1).cloneNode(true);
  const number = rows.length + 1;
  const role = rows.at(-1).querySelector("select").value;
  row.querySelectorAll(".hidden").forEach((label, at) => { label.textContent = at ? `Message ${number}` : `Who says message ${number}`; });
  row.querySelector("select").value = role === "user" ? "assistant" : "user";
  const box = row.querySelector("textarea");
  box.value = "";
  box.removeAttribute("placeholder");
  list.append(row);
  box.focus();
}

if (form) {
  const live = form.hasAttribute("data-live-question");
  for (const each of form.querySelectorAll("[data-with-script]")) each.hidden = false;
  const box = form.querySelector("textarea");
  box.setSelectionRange(box.value.length, box.value.length);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (event.submitter?.hasAttribute("data-add-message")) return addMessage();
    askNow();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      askNow();
    }
  });
  form.addEventListener("input", () => {
    stale = true;
    if (!live) return;
    clearTimeout(timer);
    if (isEmpty()) return;
    timer = setTimeout(() => { if (stale) askNow(); }, WAIT_MS);
  });
  prepare(document.querySelector("[data-answers]"));
}
