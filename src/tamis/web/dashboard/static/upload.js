// A form with files, sent with a bar that tells how far it is. Without this, the browser sends it by itself.

const form = document.getElementById("upload");
const bar = form.querySelector(".uploading");
const wrong = form.querySelector(".note.error");
const send = form.querySelector("button.main");
const stop = form.querySelector("[data-stops]");
const drop = document.getElementById("drop");
const inputs = [...form.querySelectorAll('input[type="file"]')];
const most = Number(form.dataset.most);

function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  while (value >= 1000 && units.length > 1) { value /= 1000; units.shift(); }
  return `${value >= 100 || units[0] === "B" ? Math.round(value) : value.toFixed(1)} ${units[0]}`;
}

function refuse(message) {
  wrong.textContent = message;
  wrong.hidden = !message;
}

function working(is) {
  bar.hidden = stop.hidden = !is;
  send.disabled = is;
}

function tooLarge() {
  const files = inputs.flatMap((input) => [...input.files]);
  const large = files.find((file) => file.size > most);
  if (large) return `${large.name} has ${size(large.size)}, and a file may have ${form.dataset.mostTold}: split it, or pack it with gzip.`;
  const all = files.reduce((sum, file) => sum + file.size, 0);
  if (all > most) return `The files have ${size(all)} together, and ${form.dataset.mostTold} go at a time: send the largest one alone, packed with gzip.`;
  const empty = files.find((file) => file.size === 0);
  return empty ? `${empty.name} is empty: choose another file.` : "";
}

// What the server says is JSON, or a page of its own.
function said(request) {
  try {
    const told = JSON.parse(request.responseText);
    return told.place ? told : { message: told.message || told.detail };
  } catch {
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    return { message: page.querySelector("main .lead")?.textContent };
  }
}

let request = null;

function upload() {
  const began = performance.now();
  const data = new FormData(form);
  const token = data.get("form_token");
  for (const input of inputs) if (!input.files.length) data.delete(input.name);
  request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("accept", "application/json");
  request.setRequestHeader("x-form-token", token);
  request.upload.onprogress = (event) => {
    const share = event.total ? event.loaded / event.total : 0;
    bar.querySelector("progress").value = share;
    const left = (performance.now() - began) / 1000 * (1 - share) / Math.max(share, 0.001);
    const rest = share > 0.999 ? "being stored" : left > 2 ? `about ${left < 90 ? `${Math.round(left)} s` : `${Math.round(left / 60)} min`} left` : "";
    bar.querySelector("p").textContent = [`${size(event.loaded)} of ${size(event.total)}`, rest].filter(Boolean).join(", ");
  };
  request.onload = () => {
    const told = said(request);
    if (request.status === 200 && told.place) return location.assign(told.place);
    working(false);
    refuse(told.message || "The upload did not work: try it again.");
  };
  request.onerror = () => {
    working(false);
    refuse("The connection broke off before the whole file was there: send it again.");
  };
  request.onabort = () => { working(false); refuse(""); };
  request.send(data);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  delete form.dataset.sent;
  const why = tooLarge();
  refuse(why);
  if (why) return;
  working(true);
  bar.querySelector("progress").value = 0;
  bar.querySelector("p").textContent = "Being sent";
  upload();
});
stop.addEventListener("click", () => request?.abort());
addEventListener("pageshow", () => working(false));

// A file that is dropped anywhere on the box is taken at once.
drop.querySelector(".dropping").hidden = false;
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  if (files.length !== 1) return refuse(files.length ? "Drop one file: the labelled texts. Others are chosen below." : "");
  inputs[0].files = event.dataTransfer.files;
  form.requestSubmit();
});
// A file dropped beside the box shall not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
