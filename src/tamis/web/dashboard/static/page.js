// What every page can do: copy, open dialogs, ask for its live parts again. Without it, pages still work.

function eachOf(root, selector, act) {
  for (const element of root.querySelectorAll(selector)) act(element);
}

function prepare(root) {
  eachOf(root, "[data-copy], [data-opens]", (button) => { button.hidden = false; });
}

async function copy(button) {
  const text = button.parentElement.querySelector("code").textContent;
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = before; }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.hasAttribute("data-copy")) copy(button);
  if (button.dataset.opens) document.getElementById(button.dataset.opens).showModal();
  if (button.hasAttribute("data-closes")) button.closest("dialog").close();
});

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => eachOf(document, "form[data-sent]", (form) => { delete form.dataset.sent; }));

// A part with `data-live="SECONDS"` and an id is fetched again with its page, until the page has it without that mark.
// `data-with` names further parts that come along. A script that knows better when there are news holds a part.
const held = new Set();

export function hold(id, is) {
  if (is) held.add(id);
  else held.delete(id);
}

function swap(part, fresh, isOver) {
  const focused = part.contains(document.activeElement);
  if (focused && !isOver) return;
  prepare(fresh);
  part.replaceWith(fresh);
  document.dispatchEvent(new CustomEvent("fresh", { detail: fresh }));
  if (focused) document.getElementById("content").focus();
}

export async function ask(id) {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/ui/login") return location.reload();
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const first = page.getElementById(id);
    if (!first) return location.reload();
    for (const each of [id, ...(document.getElementById(id).dataset.with ?? "").split(" ").filter(Boolean)]) {
      const [part, fresh] = [document.getElementById(each), page.getElementById(each)];
      if (part && fresh) swap(part, fresh, !first.dataset.live);
    }
  } catch {
    // the server is away: asked again later
  }
}

async function follow(id) {
  for (let part; (part = document.getElementById(id))?.dataset.live;) {
    const waits = Number(part.dataset.live) * 1000;
    await new Promise((done) => setTimeout(done, document.hidden ? waits * 5 : waits));
    if (!held.has(id)) await ask(id);
  }
}

prepare(document);
eachOf(document, "[data-live]", (part) => follow(part.id));
