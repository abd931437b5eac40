// The page of a record: what stands for an instant has the video jump there. Without it, links lead to
// the file at that instant.
"use strict";

const player = () => document.querySelector("main video");

function jump(seconds) {
  const video = player();
  if (!video) return false;
  const go = () => { video.currentTime = seconds; };
  if (video.readyState) go();
  else {
    video.addEventListener("loadedmetadata", go, { once: true });
    video.load();
  }
  video.scrollIntoView({ block: "nearest" });
  return true;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-t]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if (!jump(Number(link.dataset.t))) return;
  event.preventDefault();
  history.replaceState(null, "", `#t=${link.dataset.t}`); // an address that can be sent to others
});

function jumpToHash() {
  const found = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
  if (found) jump(Number(found[1]));
}

window.addEventListener("hashchange", jumpToHash);
jumpToHash();

// --- where the video is, on the timeline -----------------------------------------------------------

document.addEventListener("timeupdate", (event) => {
  const drawing = document.querySelector(".timeline svg[data-seconds]");
  if (!drawing || event.target !== player()) return;
  const x = `${Math.min(100, (100 * event.target.currentTime) / drawing.dataset.seconds)}%`;
  const head = drawing.querySelector(".playhead");
  head.setAttribute("x1", x);
  head.setAttribute("x2", x);
  drawing.parentElement.classList.add("follows");
}, true); // it does not bubble

// --- the start and the end of a new version, taken from where the video is -------------------------

function takeTime(button) {
  const form = button.closest("form[data-begins]");
  const at = new Date(Date.parse(form.dataset.begins) + 1000 * Math.round(player().currentTime));
  const local = new Intl.DateTimeFormat("sv", {
    timeZone: form.dataset.zone, year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit",
  }).format(at);
  form.querySelector(`#f-${button.dataset.takes}`).value = local.replace(" ", "T");
}

function offerTimes() {
  for (const button of document.querySelectorAll("form[data-begins] [data-takes][hidden]")) {
    if (player()) button.hidden = false;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-takes]");
  if (button) takeTime(button);
});
offerTimes();
// live.js renews the page when the record has another version.
new MutationObserver(offerTimes).observe(document.body, { childList: true, subtree: true });
