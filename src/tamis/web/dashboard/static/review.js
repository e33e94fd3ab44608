// Decisions are sent without leaving the page: its part is shown anew. Without this, the whole page is.

async function send(form, button) {
  const data = new URLSearchParams(new FormData(form));
  if (button?.name) data.append(button.name, button.value);
  const id = form.closest("[id]").id;
  const part = document.getElementById(id);
  part.setAttribute("aria-busy", "true");
  const opened = [...part.querySelectorAll("details")].map((fold) => fold.open);
  try {
    const answer = await fetch(form.action, { method: "POST", body: data, headers: { accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = fresh.getElementById(id);
    const wrong = fresh.querySelector("main > .note.error");
    if (!answer.ok) return location.reload();
    if (wrong) {
      part.removeAttribute("aria-busy");
      delete form.dataset.sent;
      form.querySelector(".note")?.remove();
      wrong.setAttribute("role", "alert");
      return form.append(wrong);
    }
    if (!next) {  // it is not of the state that is listed any more
      part.remove();
    } else {
      part.replaceWith(next);
      [...next.querySelectorAll("details")].forEach((fold, n) => { fold.open = opened[n] ?? fold.open; });
      const again = button?.name && next.querySelector(`button[name="${button.name}"][aria-pressed="true"]`);
      (again || next.querySelector("button"))?.focus({ preventScroll: true });
    }
    document.getElementById("going").replaceWith(fresh.getElementById("going"));
  } catch {
    part.removeAttribute("aria-busy");
    delete form.dataset.sent;
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.hasAttribute("data-inline")) return;
  event.preventDefault();
  send(event.target, event.submitter);
}, true);
