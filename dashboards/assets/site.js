// Draws the plots in the reader's colours, filters tables, keeps the chosen theme.
// Everything on a page can be read without it, in the tables.
(function () {
  "use strict";
  var root = document.documentElement;
  var exchange = /*exchange*/{};
  var printing = false;

  // Storage may be refused on file://: then the choice holds for this page.
  function remembered() { try { return localStorage.getItem("optout-theme"); } catch (e) { return null; } }
  function remember(theme) { try { localStorage.setItem("optout-theme", theme); } catch (e) { /* not kept */ } }
  function isDark() {
    if (printing) { return false; }
    var chosen = root.getAttribute("data-theme");
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  var kept = remembered();
  if (kept === "dark" || kept === "light") { root.setAttribute("data-theme", kept); }

  function coloured(value, dark) {
    if (typeof value === "string") { return dark && exchange[value] ? exchange[value] : value; }
    if (Array.isArray(value)) { return value.map(function (v) { return coloured(v, dark); }); }
    if (value && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (k) { copy[k] = coloured(value[k], dark); });
      return copy;
    }
    return value;
  }

  function draw() {
    if (!window.Plotly) { return; }
    document.querySelectorAll("script[data-plot]").forEach(function (source) {
      var figure = coloured(JSON.parse(source.textContent), isDark());
      figure.data.forEach(function (trace) {
        if (trace.sameX) { trace.x = figure.data[0].x; delete trace.sameX; }
      });
      window.Plotly.react(source.getAttribute("data-plot"), figure.data, figure.layout,
        { displayModeBar: false, responsive: true });
    });
  }

  function themeButton() {
    var button = document.getElementById("theme");
    function show() {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", "Switch to " + (isDark() ? "light" : "dark") + " colours");
    }
    button.removeAttribute("aria-pressed");
    button.addEventListener("click", function () {
      var theme = isDark() ? "light" : "dark";
      root.setAttribute("data-theme", theme);
      remember(theme);
      show();
      draw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () { show(); draw(); });
    show();
  }

  function plain(cell) { return "v" in cell.dataset ? cell.dataset.v : cell.textContent; }

  // Filters stand in the address (#drift?system=hubspot), so that a view can be sent on.
  function filters(box) {
    var table = box.querySelector("table");
    if (!table) { return; }
    var heads = Array.from(table.querySelectorAll("thead th"));
    var rows = Array.from(table.querySelectorAll("tbody tr"));
    var names = box.dataset.filters.split(" ");
    var place = {};
    heads.forEach(function (th, i) { place[th.dataset.name] = i; });
    var bar = document.createElement("div");
    bar.className = "filters";
    var chosen = {};
    names.forEach(function (name) {
      var label = document.createElement("label");
      label.textContent = heads[place[name]].textContent;
      var select = document.createElement("select");
      var seen = new Map([["", "all"]]);
      rows.forEach(function (row) {
        var cell = row.cells[place[name]];
        seen.set(plain(cell), cell.textContent.trim());
      });
      seen.forEach(function (text, value) { select.add(new Option(text, value)); });
      select.addEventListener("change", function () { chosen[name] = select.value; apply(true); });
      label.appendChild(select);
      bar.appendChild(label);
    });
    var said = document.createElement("output");
    bar.appendChild(said);
    table.parentElement.before(bar);
    function apply(write) {
      var shown = 0;
      rows.forEach(function (row) {
        var fits = names.every(function (n) { return !chosen[n] || plain(row.cells[place[n]]) === chosen[n]; });
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      });
      said.textContent = shown.toLocaleString("en") + " of these " + rows.length.toLocaleString("en") + " rows";
      if (write) {
        var query = new URLSearchParams();
        names.forEach(function (n) { if (chosen[n]) { query.set(n, chosen[n]); } });
        var text = query.toString();
        location.replace("#" + box.id + (text ? "?" + text : ""));
      }
    }
    function fromAddress(jump) {
      var parts = location.hash.slice(1).split("?");
      if (parts[0] !== box.id) { return; }
      var query = new URLSearchParams(parts[1] || "");
      names.forEach(function (name, i) {
        chosen[name] = query.get(name) || "";
        bar.querySelectorAll("select")[i].value = chosen[name];
      });
      apply(false);
      if (jump && parts[1]) { box.scrollIntoView(); }
    }
    apply(false);
    fromAddress(true);
    window.addEventListener("hashchange", function () { fromAddress(false); });
  }

  document.addEventListener("DOMContentLoaded", function () {
    themeButton();
    if (matchMedia("(max-width: 56rem)").matches) { document.querySelector("nav details").open = false; }
    document.querySelectorAll("[data-filters]").forEach(filters);
    draw();
    if (!window.Plotly) { document.querySelectorAll(".asdata").forEach(function (d) { d.open = true; }); }
  });
  window.addEventListener("beforeprint", function () { printing = true; draw(); });
  window.addEventListener("afterprint", function () { printing = false; draw(); });
})();
