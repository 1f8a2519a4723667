// The demonstration's panel: sets Mayar's mood, and shows each second what the shop makes of it.
const panel = document.querySelector(".panel");
const crowd = document.querySelector("#crowd");
const product = document.querySelector("[data-product]")?.dataset.product ?? "";

const get = (path) => fetch(location.origin + path); // an address with a password in it is refused

async function look() {
  const state = await (await get(`/demo/state?product=${encodeURIComponent(product)}`)).json();
  const show = (name, text) => (document.querySelector(`#figure-${name}`).textContent = text);
  show("served", state.served.toLocaleString(document.documentElement.lang));
  show("spent", `${state.spent} / ${state.limit}`);
  show("age", state.age === null ? "–" : `${state.age} s`);
  show("retries", state.retries);
  show("doubled", state.doubled);
  panel.dataset.mood = state.mood;
  for (const button of panel.querySelectorAll("button"))
    button.ariaPressed = String(button.value === state.mood);
}

// What the page says of its age, as a visitor who opens it now would read it.
async function refresh() {
  const shown = document.querySelector("#freshness");
  if (!shown) return;
  const page = new DOMParser().parseFromString(await (await get(location.pathname + location.search)).text(), "text/html");
  const now = page.querySelector("#freshness");
  if (now && now.innerHTML !== shown.innerHTML) shown.innerHTML = now.innerHTML;
}

panel.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = new URLSearchParams({ mood: event.submitter.value });
  await fetch(`${location.origin}/demo/mood`, { method: "POST", body, redirect: "manual" });
  await look();
});

crowd.checked = sessionStorage.getItem("crowd") === "on";
crowd.addEventListener("change", () => sessionStorage.setItem("crowd", crowd.checked ? "on" : ""));

async function forever(milliseconds, work) {
  for (;;) {
    if (!document.hidden) await work().catch(() => {});
    await new Promise((done) => setTimeout(done, milliseconds));
  }
}
forever(1000, () => Promise.all([look(), crowd.checked ? refresh() : null]));
forever(100, async () => {
  if (crowd.checked) await Promise.all(Array.from({ length: 10 }, () => get("/" + (product && `products/${product}`))));
});
