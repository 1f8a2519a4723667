// Loads further reviews into the list; without this script the link leads to a page of them.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("#more");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.ariaBusy === "true") return;
  event.preventDefault();
  link.ariaBusy = "true";
  try {
    const { origin, pathname, search } = new URL(link.href); // without a moderator's password
    const answer = await fetch(origin + pathname + search);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const items = [...page.querySelectorAll("#reviews > li")];
    if (!answer.ok || answer.redirected || !items.length) throw new Error("no further reviews");
    document.querySelector("#reviews").append(...items);
    items[0].focus();
    const next = page.querySelector("#more");
    const told = document.querySelector("#told");
    const { one, many, end } = told.dataset;
    told.textContent = (items.length === 1 ? one : many.replace("{}", items.length)) + (next ? "" : " " + end);
    if (next) link.setAttribute("href", next.getAttribute("href"));
    else link.remove();
  } catch {
    location.assign(link.href); // let the page say what is the matter
  } finally {
    link.ariaBusy = null;
  }
});
