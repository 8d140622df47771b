// On narrow screens the chosen trial stands below the list it was chosen from: go there.
document.addEventListener("click", (event) => {
  const chosen = event.target.closest(".pick, .ag-row");
  if (!chosen || window.innerWidth >= 1080) return;
  window.setTimeout(() => document.querySelector(".detail")?.scrollIntoView({ block: "start" }), 300);
});
