// Opens the rows behind a figure in place: without it, the same links load the page at these rows.

async function open(link) {
  const part = document.getElementById("rows-part");
  part.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href, { headers: { accept: "text/html" } });
    const fresh = answer.ok && !answer.redirected
      ? new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("rows-part")
      : null;
    if (!fresh || !fresh.querySelector("#rows")) throw new Error("not there");
    part.replaceWith(fresh);
    history.replaceState(null, "", link.href);
    fresh.querySelector("#rows").focus({ preventScroll: true });
    fresh.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  } catch {
    location.assign(link.href);
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-cell]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(link);
});
