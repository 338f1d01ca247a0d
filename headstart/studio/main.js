// Which view is shown, what the page stands on, and whether the server answers.
import { askedBy, get, onContact } from "./api.js";
import { ask } from "./ask.js";
import { $, announce } from "./dom.js";
import { askKey } from "./key.js";
import { machine } from "./machine.js";
import { shelf } from "./shelf.js";
import { teach } from "./teach.js";

const VIEWS = { teach, ask, shelf, machine };
const TITLES = { teach: "Teach", ask: "Ask", shelf: "Shelf", machine: "This machine" };
/** What every view reads: the base's name, which `stand` looks up again. */
const page = { base: "", stand };
let shown = "";
let lost = false;

function show(first = false) {
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  const view = Object.hasOwn(VIEWS, name) ? name : "teach";
  for (const it of Object.keys(VIEWS)) $(it).hidden = it !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} · headstart studio`;
  if (!first && view !== shown) $(`${view}-title`).focus();
  shown = view;
  VIEWS[view].show(page, rest.map(decoded));
}

/** A part of the hash, as it stands where it is nothing that was encoded. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Another base may be served at the same address by now: what is in sight is then shown anew. */
async function stand(anew = false) {
  const [models, before] = [(await get("/v1/models")).data, page.base];
  page.base = models.find((it) => it.parent === null).id;
  $("where-text").textContent = page.base.split("/").pop();
  $("where").title = page.base;
  if (shown && (anew || page.base !== before)) await VIEWS[shown].show(page, []);
}

function contact(is) {
  $("dot").className = `dot ${is ? "good" : "bad"}`;
  if (is && lost) {
    lost = false;
    announce("The server answers again.");
    stand(true).catch(() => {});
  } else if (!is && !lost) {
    lost = true;
    $("where-text").textContent = "the server does not answer";
    announce("The server does not answer.");
    again();
  }
}

function again() {
  setTimeout(async () => {
    if (!lost) return;
    try {
      if ((await fetch("/health", { cache: "no-store" })).ok) contact(true);
      else again();
    } catch {
      again();
    }
  }, 1000);
}

askedBy(askKey);
onContact(contact);
for (const view of Object.values(VIEWS)) view.begin(page);
addEventListener("hashchange", () => show());
for (const seen of ["focus", "visibilitychange"]) addEventListener(seen, () => document.hidden || stand().catch(() => {}));
// The hash names the view, so that this link must not change it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});
for (;;) {
  try {
    await stand();
    break;
  } catch {
    await new Promise((done) => {
      setTimeout(done, 1000);
    });
  }
}
show(true);
