// What runs in the browser beside Dash: scripts that a page needs, the theme, and where a chosen trial is shown.

// ------------------------------------------------------------------ scripts, with the page that needs them
// <script id="loading"> holds {scripts: {name: address}, pages: {path: [name, …]}}; see dashboard/loading.py.

const begun = {}, waiting = {};
let shown = null;  // path of the page that stands there, or will

function script(name, address) {
  begun[name] ??= new Promise((done, failed) => {
    const tag = Object.assign(document.createElement("script"), { src: address, onload: done });
    tag.onerror = () => {
      delete begun[name];  // to be asked for again
      failed(new Error(`${address} cannot be loaded`));
    };
    document.head.append(tag);
  });
  return begun[name];
}

/** Says on the page that a script of it did not come; the next visit asks for it again. */
function unloaded() {
  shown = null;
  const children = "A script of this page could not be loaded. Is the dashboard still running? Then reload the page.";
  const said = { namespace: "dash_html_components", type: "Div", props: { children, className: "problem", role: "alert" } };
  window.dash_clientside.set_props("content", { children: said });
}

window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.dashboard = {
  /**
   * Loads what a page needs, then gives its path on, once, for the page to be put there. It waits for the studies
   * that are shown to be known: a menu forgets a kept choice that it does not offer at first.
   */
  async load(address, version) {
    const path = `/${(address || "").replace(/^\/+|\/+$/g, "")}`;
    if (!version || path === shown) return window.dash_clientside.no_update;
    shown = path;
    const { scripts, pages } = JSON.parse(document.getElementById("loading").textContent);
    const needed = (pages[path] || []).filter((name) => !(name === "basic" && begun.plotly));
    try {
      await Promise.all(needed.map((name) => script(name, scripts[name])));
    } catch {
      if (shown === path) unloaded();
      return window.dash_clientside.no_update;
    }
    return shown === path ? path : window.dash_clientside.no_update;
  },

  /** What stands in a field for text once half a second has passed without a key. */
  settle(text, store) {
    if (!text && !(store in waiting)) return window.dash_clientside.no_update;  // as the server knows it
    window.clearTimeout(waiting[store]);
    const send = () => window.dash_clientside.set_props(store, { data: text || "" });
    waiting[store] = window.setTimeout(send, text ? 500 : 0);
    return window.dash_clientside.no_update;
  },

  /** Sliders of the scaling page follow one another here; the server is told eight times a second at most. */
  follow(phi, depth, width, resolution, reset, law) {
    const keep = window.dash_clientside.no_update;
    const by = (window.dash_clientside.callback_context.triggered[0] || {}).prop_id || "";
    const clip = (x, [low, high]) => Math.min(high, Math.max(low, x)), round = (x, n) => Number(x.toFixed(n));
    let at = [phi, depth, width, resolution].map(Number), told = [keep, keep, keep, keep];
    if (by.startsWith("scaling-phi")) {
      const grown = law.coefficients.map((base) => clip(round(base ** at[0], 4), law.factors));
      at = [at[0], ...grown];
      told = [keep, ...grown];
    } else if (by.startsWith("scaling-reset")) {
      at = told = [0, 1, 1, 1];
    } else if (by) {
      const [d, w, r] = at.slice(1), [alpha, beta, gamma] = law.coefficients;
      const budget = Math.log(d * w * w * r * r) / Math.log(alpha * beta * beta * gamma * gamma);
      told = [(at[0] = clip(round(budget, 2), law.phi)), keep, keep, keep];
    }
    const send = () => {
      waiting.sent = Date.now();
      window.dash_clientside.set_props("scaling-at", { data: at.slice(1) });
    };
    window.clearTimeout(waiting.sliders);
    waiting.sliders = window.setTimeout(send, Math.max(0, (waiting.sent || 0) + 120 - Date.now()));
    return [...told, at[0].toFixed(1), ...at.slice(1).map((x) => `${x.toFixed(2)}×`)];
  },
};

// ------------------------------------------------------------------------------------------ theme

document.addEventListener("click", (event) => {
  if (!event.target.closest("#theme")) return;
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("theme", theme); } catch { /* private windows may keep nothing */ }
});

// On narrow screens the chosen trial stands below the list it was chosen from: go there.
document.addEventListener("click", (event) => {
  const chosen = event.target.closest(".pick, .ag-row");
  if (!chosen || window.innerWidth >= 1080) return;
  window.setTimeout(() => document.querySelector(".detail")?.scrollIntoView({ block: "start" }), 300);
});
