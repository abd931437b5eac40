// The form of a room. Without it, pages say the same after a button is pressed.
"use strict";

// --- what an address looks like: each option of a kind has a hint for a field -----------------------

for (const select of document.querySelectorAll("[data-hints]")) {
  select.addEventListener("change", () => {
    const hint = select.selectedOptions[0].dataset.hint;
    if (hint) document.getElementById(select.dataset.hints).textContent = hint;
  });
}

// --- testing a connection: the answer is taken out of the page that the button would lead to --------

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || button.name !== "test") return;
  event.preventDefault();
  test(button).catch(() => say(button, button.dataset.failed));
});

async function test(button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const body = new FormData(button.form, button);
  button.setAttribute("aria-disabled", "true");
  say(button, button.dataset.busy);
  try {
    const response = await fetch(button.form.action, { method: "POST", body });
    if (!response.ok || response.redirected) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const answer = page.getElementById(slotOf(button).id);
    slotOf(button).replaceChildren(...document.adoptNode(answer).children);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function slotOf(button) {
  return document.getElementById(`test-${button.value}`);
}

function say(button, text) {
  const line = document.createElement("p");
  line.textContent = text;
  slotOf(button).replaceChildren(line);
}
