// Loads further reviews into the list; without this script the link leads to a page of them.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("#more");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.ariaBusy === "true") return;
  event.preventDefault();
  link.ariaBusy = "true";
  try {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [first, ...others] = page.querySelectorAll("#reviews > li");
    if (!answer.ok || answer.redirected || !first) throw new Error("no further reviews");
    document.querySelector("#reviews").append(first, ...others);
    first.focus();
    const next = page.querySelector("#more");
    if (next) link.setAttribute("href", next.getAttribute("href"));
    else link.remove();
  } catch {
    location.assign(link.href); // let the page say what is the matter
  } finally {
    link.ariaBusy = null;
  }
});
