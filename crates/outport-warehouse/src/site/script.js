(function () {
  "use strict";
  var root = document.documentElement, theme = document.querySelector(".theme");
  function dark() { return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; }
  function label() { theme.textContent = dark() ? "Light" : "Dark"; }
  label();
  theme.hidden = false;
  theme.addEventListener("click", function () {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (e) { /* a file page may have no storage */ }
    label();
  });
  document.querySelectorAll(".copy").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var text = button.parentNode.querySelector("pre").innerText.trim() + "\n";
      function done() { button.textContent = "Copied"; button.classList.add("done"); setTimeout(function () { button.textContent = "Copy"; button.classList.remove("done"); }, 1600); }
      function old() { var area = document.createElement("textarea"); area.value = text; document.body.appendChild(area); area.select(); document.execCommand("copy"); area.remove(); done(); }
      if (navigator.clipboard) { navigator.clipboard.writeText(text).then(done, old); } else { old(); }
    });
  });
  var here = document.querySelector(".lineage .here");
  if (here) { var box = document.querySelector(".lineage"), x = here.getBBox(); box.scrollLeft = x.x + x.width / 2 - box.clientWidth / 2; }
  var input = document.querySelector(".search input");
  if (!input) { return; }
  var cards = Array.prototype.slice.call(document.querySelectorAll(".card")), found = document.querySelector(".found");
  function search() {
    var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
    cards.forEach(function (card) {
      var text = card.dataset.text, hit = words.every(function (word) { return text.indexOf(word) >= 0; });
      card.hidden = !hit;
      shown += hit ? 1 : 0;
      var columns = words.length && hit ? card.dataset.columns.split("\n").filter(function (name) { return words.some(function (word) { return name.toLowerCase().indexOf(word) >= 0; }); }) : [];
      card.querySelector(".hits").textContent = columns.length ? "Columns: " + columns.slice(0, 6).join(", ") + (columns.length > 6 ? " and " + (columns.length - 6) + " more" : "") : "";
    });
    found.textContent = !words.length ? "" : shown ? shown + (shown === 1 ? " table" : " tables") + " of " + cards.length : "No table, column or tag matches “" + input.value.trim() + "”";
    try { history.replaceState(null, "", words.length ? "#q=" + encodeURIComponent(input.value) : location.pathname); } catch (e) { /* not in every frame */ }
  }
  input.addEventListener("input", search);
  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); input.select(); }
    if (event.key === "Escape" && document.activeElement === input) { input.value = ""; search(); input.blur(); }
  });
  if (location.hash.indexOf("#q=") === 0) { input.value = decodeURIComponent(location.hash.slice(3)); search(); }
})();
