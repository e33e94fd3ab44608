// The form of a training: how long each base model takes is looked up meanwhile, and fields that mean nothing are hidden.

const form = document.getElementById("training");
const told = document.getElementById("t-told");
const AGAIN_MS = 4000, TRIES = 30, SETTLED_MS = 900;
const TIMED = new Set(["length", "epochs", "training_steps", "seq_len", "max_bad_share", "oos_label"]);
const SHARED = ["t-found", "t-several", "t-doubt", "t-labels"];
const IDLE = { "t-several": "t-purposes", "t-doubt": "t-abstain" }; // what is hidden where there is nothing to choose
let round = 0, asking = new AbortController(); // who has left is not measured for any longer

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function field(name) {
  return form.querySelector(`[name="${name}"]`)?.closest(".field");
}

// Only the numbers of the choice that was made are asked for.
function show() {
  const length = form.elements.namedItem("length").value; // `length` itself is how many there are
  const purpose = form.elements.namedItem("purpose").value;
  const shown = {
    epochs: length === "epochs", training_steps: length === "steps",
    floor: purpose === "precision" || purpose === "recall", cost_fp: purpose === "cost", cost_fn: purpose === "cost",
  };
  for (const [name, is] of Object.entries(shown)) field(name).hidden = !is;
  for (const [said, fields] of Object.entries(IDLE)) {
    const place = document.getElementById(fields);
    place.hidden = "none" in document.getElementById(said).dataset && !place.querySelector(".wrong");
  }
}

async function asked(base) {
  const sent = new URLSearchParams(new FormData(form));
  sent.set("base", base);
  sent.delete("wandb_key");
  const answer = await fetch(form.dataset.estimate, { method: "POST", body: sent, signal: asking.signal });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function estimate(radio, mine) {
  const id = radio.id.replace("base-", "takes-");
  const before = document.getElementById(id);
  if (!before) return;
  before.textContent = "How long it takes: being looked at…";
  before.className = "takes soft awaited";
  for (let tried = 0; tried < TRIES && mine === round; tried += 1) {
    let page;
    try {
      page = await asked(radio.value);
    } catch {
      if (mine === round) await wait(AGAIN_MS);
      continue;
    }
    if (mine !== round) return;
    const fresh = page.getElementById(id);
    if (!fresh) break;
    if ("later" in fresh.dataset) {
      await wait(AGAIN_MS);
      continue;
    }
    document.getElementById(id).replaceWith(fresh);
    for (const shared of SHARED) {
      const found = page.getElementById(shared);
      if (found && found.childElementCount + found.textContent.trim().length) document.getElementById(shared).replaceWith(found);
    }
    show();
    return;
  }
  if (mine === round) before.textContent = "How long it takes is not known: the job's page says it once it has read the data.";
}

// One after the other, the chosen one first: the server reads the files for each.
async function estimateAll() {
  const mine = (round += 1);
  asking.abort();
  asking = new AbortController();
  const radios = [...form.querySelectorAll('input[name="base"]:not(:disabled)')].sort((a, b) => b.checked - a.checked);
  for (const radio of radios) {
    if (mine !== round) return;
    const place = document.getElementById(radio.id.replace("base-", "takes-"));
    if (place && !("told" in place.dataset)) await estimate(radio, mine);
  }
}

let settling;
form.addEventListener("input", (event) => {
  show();
  if (!TIMED.has(event.target.name)) return;
  clearTimeout(settling);
  settling = setTimeout(() => {
    for (const place of form.querySelectorAll(".takes")) delete place.dataset.told;
    estimateAll();
  }, SETTLED_MS);
});
form.addEventListener("submit", () => {
  round += 1;
  asking.abort();
  told.textContent = "Starting…";
});

// A field that is not right is not left folded away.
form.querySelector(".wrong input, .wrong textarea, [aria-invalid]")?.focus();
show();
estimateAll();
