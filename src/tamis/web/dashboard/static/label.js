// A file on its way up: how much of it is there. Without it, the browser sends the form as it always does.

function messageOf(request) {
  try {
    return JSON.parse(request.responseText).message;
  } catch {
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    return page.querySelector("main .lead")?.textContent ?? "This did not work: open the page again.";
  }
}

function send(form) {
  const button = form.querySelector("button.main");
  const wrong = form.querySelector("[data-upload-wrong]");
  const shown = form.querySelector("[data-upload-progress]");
  const bar = shown.querySelector("progress");
  const told = form.querySelector("[data-upload-said]");
  const request = new XMLHttpRequest();
  const fail = (words) => {
    wrong.textContent = words;
    wrong.hidden = false;
    shown.hidden = true;
    button.disabled = false;
  };
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    bar.value = event.loaded / event.total;
    told.textContent = event.loaded < event.total ? `${Math.floor((100 * event.loaded) / event.total)} % uploaded` : "Uploaded";
  });
  request.addEventListener("load", () => {
    if (request.status < 300) location.assign(request.responseURL);
    else fail(messageOf(request));
  });
  request.addEventListener("error", () => fail("The server cannot be reached, or did not take the file: try again."));
  wrong.hidden = true;
  shown.hidden = false;
  button.disabled = true;
  request.open("POST", form.action);
  request.setRequestHeader("accept", "text/html");
  request.send(new FormData(form));
}

for (const form of document.querySelectorAll("form[data-upload]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    send(form);
  });
}
