// The form of a comparison: answers of LLMs that are kept are those on the file that is chosen.

const file = document.getElementById("field-file");

document.querySelector("#earlier .looks")?.setAttribute("hidden", "");

file.addEventListener("change", async () => {
  const chosen = file.value;
  const answer = await fetch(`/ui/compare/new?file=${encodeURIComponent(chosen)}`);
  if (!answer.ok || file.value !== chosen) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("earlier");
  if (!fresh || file.value !== chosen) return;
  fresh.querySelector(".looks")?.setAttribute("hidden", "");
  document.getElementById("earlier").replaceChildren(...fresh.childNodes);
});
