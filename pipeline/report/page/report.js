// Draws the plots in the page's colours, and lets tables be sorted. Needs Plotly, and no network.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const COLOURS = ["color", "bgcolor", "bordercolor", "gridcolor", "linecolor", "zerolinecolor"];

  // A copy in which colours that are names of CSS variables have their values.
  function coloured(value, key, style) {
    if (Array.isArray(value)) return value.map((item) => coloured(item, key, style));
    if (value !== null && typeof value === "object") {
      const entries = Object.entries(value).map(([k, item]) => [k, coloured(item, k, style)]);
      return Object.fromEntries(entries);
    }
    const named = typeof value === "string" && value.startsWith("--") && COLOURS.includes(key);
    return named ? style.getPropertyValue(value).trim() : value;
  }

  function merged(base, over) {
    const both = { ...base };
    for (const [key, value] of Object.entries(over)) {
      const deep = value !== null && typeof value === "object" && !Array.isArray(value);
      both[key] = deep ? merged(base[key] ?? {}, value) : value;
    }
    return both;
  }

  function layoutOf(layout) {
    const axis = { gridcolor: "--line", zerolinecolor: "--line", linecolor: "--line",
      automargin: true, fixedrange: false, tickfont: { size: 11 }, title: { font: { size: 12 } } };
    const own = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: "--muted", family: "inherit", size: 12 }, autosize: true,
      margin: { l: 56, r: 16, t: 36, b: 44 }, dragmode: false,
      hoverlabel: { bgcolor: "--soft", bordercolor: "--line", font: { color: "--text" } } };
    const axes = Object.keys(layout).filter((key) => /^[xy]axis/.test(key));
    return merged({ ...own, ...Object.fromEntries(axes.map((key) => [key, axis])) }, layout);
  }

  function tellThatItIsMissing() {
    for (const plot of document.querySelectorAll(".plot")) {
      plot.textContent = "What draws the plots is not where this page was written. " +
        "`ragline report DIR --output FILE` writes a page that can be sent.";
      plot.style.height = "auto";
    }
    document.documentElement.dataset.drawn = "no";
  }

  async function draw() {
    if (typeof Plotly === "undefined") return tellThatItIsMissing();
    const style = getComputedStyle(document.documentElement);
    const family = getComputedStyle(document.body).fontFamily;
    for (const [id, figure] of Object.entries(figures)) {
      const layout = coloured(layoutOf(figure.layout), "", style);
      layout.font.family = family;
      const config = { responsive: true, displayModeBar: false, displaylogo: false };
      await Plotly.react(id, coloured(figure.data, "", style), layout, config);
    }
    document.documentElement.dataset.drawn = "yes";
  }

  // Buttons above a plot, each of which shows some of its traces; Plotly's own do not go dark.
  function addButtons(id, ways) {
    const buttons = Object.entries(ways).map(([name, visible], place) => {
      const button = document.createElement("button");
      button.textContent = name;
      button.setAttribute("aria-pressed", String(place === 0));
      button.addEventListener("click", () => {
        figures[id].data.forEach((trace, index) => { trace.visible = visible[index]; });
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        draw();
      });
      return button;
    });
    const row = document.createElement("div");
    row.className = "ways";
    row.append(...buttons);
    document.getElementById(id).before(row);
  }

  // A button in a table, which draws one of the figures that a plot has to choose from.
  for (const button of document.querySelectorAll("button[data-choice]")) {
    button.addEventListener("click", () => {
      const id = button.dataset.plot;
      const { data, layout } = figures[id].choices[button.dataset.choice];
      Object.assign(figures[id], { data, layout });
      document.getElementById(id).style.height = `${layout.height}px`;
      for (const other of document.querySelectorAll(`button[data-plot=${id}]`)) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      draw();
    });
  }

  // The neighbours of a point: lines in the plot, and a list below it.
  function showNeighbours(id, place) {
    const points = figures[id].points;
    const rows = points.index[place] ?? [];
    const trace = figures[id].data[figures[id].data.length - 1];
    trace.x = [points.x[place], ...rows.flatMap((row) => [points.x[row], points.x[place]])];
    trace.y = [points.y[place], ...rows.flatMap((row) => [points.y[row], points.y[place]])];
    const list = document.createElement("ol");
    rows.forEach((row, rank) => {
      const item = document.createElement("li");
      const name = document.createElement("code");
      name.textContent = points.id[row];
      item.append(name, ` at ${points.distance[place][rank]}: ${points.about[row]}`);
      list.append(item);
    });
    const heading = document.createElement("p");
    const name = document.createElement("code");
    name.textContent = points.id[place];
    heading.append("Nearest to ", name, ` (${points.about[place]}):`);
    document.getElementById("neighbours").replaceChildren(heading, list);
    draw();
  }

  function addNeighbours(id, points) {
    document.getElementById(id).on("plotly_click", (event) => {
      showNeighbours(id, event.points[0].customdata);
    });
    const form = document.getElementById("find");
    document.getElementById("ids").append(...points.id.map((name) => new Option("", name)));
    const find = () => {
      const place = points.id.indexOf(form.elements.id.value);
      if (place >= 0) showNeighbours(id, place);
    };
    form.addEventListener("input", find);
    form.addEventListener("submit", (event) => { event.preventDefault(); find(); });
  }

  // Words above a table that is wider than the page, and a shade at its edge.
  function tellThatItScrolls(box) {
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = "scrolls to the right \u2192";
    box.prepend(hint);
    const look = () => {
      box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
      hint.classList.toggle("shown", box.clientWidth < box.scrollWidth);
    };
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
    look();
  }
  document.querySelectorAll(".scroll").forEach(tellThatItScrolls);

  // Numbers as numbers, without their thousands' commas; a dash behind all.
  function valueOf(row, column) {
    const text = row.cells[column].textContent.trim();
    const number = parseFloat(text.replaceAll(",", ""));
    return [Number.isNaN(number) ? Infinity : number, text];
  }

  function sort(table, column, header) {
    const up = header.getAttribute("aria-sort") !== "ascending";
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
    const words = rows.some(([[number, text]]) => number === Infinity && text !== "—");
    rows.sort(([[a, s]], [[b, t]]) => {
      if (words) return s.localeCompare(t, undefined, { numeric: true }) * (up ? 1 : -1);
      if (a === b) return 0;
      if (a === Infinity || b === Infinity) return a === Infinity ? 1 : -1;
      return (a - b) * (up ? 1 : -1);
    });
    body.append(...rows.map(([, row]) => row));
    for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
  }

  for (const table of document.querySelectorAll("table")) {
    const headers = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    headers.forEach((header, column) => {
      if (!header.textContent.trim()) return;
      const button = document.createElement("button");
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, column, header));
      header.append(button);
    });
  }

  for (const [id, figure] of Object.entries(figures)) {
    if (Object.keys(figure.ways ?? {}).length) addButtons(id, figure.ways);
  }
  draw().then(() => {
    for (const [id, figure] of Object.entries(figures)) {
      if (figure.points && typeof Plotly !== "undefined") addNeighbours(id, figure.points);
    }
  });
  dark.addEventListener("change", draw);
})();
