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
async function refresh(part) {
  const waits = Number(part.dataset.live) * 1000;
  await new Promise((done) => setTimeout(done, document.hidden ? waits * 5 : waits));
  let next = part;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/ui/login") return location.reload();
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      if (!fresh) return location.reload();
      if (!part.contains(document.activeElement) || !fresh.dataset.live) {
        const focused = part.contains(document.activeElement);
        prepare(fresh);
        part.replaceWith(fresh);
        document.dispatchEvent(new CustomEvent("fresh", { detail: fresh }));
        next = fresh;
        if (focused) document.getElementById("content").focus();
      }
    }
  } catch {
    // the server is away: asked again later
  }
  if (next.dataset.live) refresh(next);
}

prepare(document);
eachOf(document, "[data-live]", refresh);
