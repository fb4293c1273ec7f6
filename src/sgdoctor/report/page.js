// Draws every figure of the page, in the colours of the scheme that the reader has chosen, or of paper.
const LIGHTER = { "#0072B2": "#56B4E9", "#D55E00": "#FF9A6B", "#009E73": "#4FD0A5", "#CC79A7": "#E6A8CB" };
const PAPER = { ink: "#1b1b1f", faint: "#d9d9e0", width: 680 };
const night = matchMedia("(prefers-color-scheme: dark)");
function draw(place, printed) {
  const style = getComputedStyle(document.body);
  const faint = printed ? PAPER.faint : style.getPropertyValue("--line").trim();
  const clear = "rgba(0,0,0,0)";
  const axis = { gridcolor: faint, zerolinecolor: faint, linecolor: faint, automargin: true };
  let text = document.getElementById(place.dataset.plot).textContent;
  if (night.matches && !printed) for (const [dark, light] of Object.entries(LIGHTER)) text = text.replaceAll(dark, light);
  const plot = JSON.parse(text);
  const layout = {
    ...plot.layout,
    xaxis: { ...plot.layout.xaxis, ...axis },
    yaxis: { ...plot.layout.yaxis, ...axis },
    font: { color: printed ? PAPER.ink : style.color, family: style.fontFamily, size: 13 },
    paper_bgcolor: clear,
    plot_bgcolor: clear,
    ...(printed ? { width: PAPER.width } : {}),
  };
  Plotly.react(place, plot.data, layout, { responsive: true, displaylogo: false, displayModeBar: false });
}
const places = [...document.querySelectorAll("[data-plot]")];
// One at a time, so that the page can be read and scrolled meanwhile.
const drawAll = () => places.forEach((place) => setTimeout(draw, 0, place, false));
drawAll();
night.addEventListener("change", drawAll);
addEventListener("beforeprint", () => {
  places.forEach((place) => draw(place, true));
  document.querySelectorAll("details").forEach((each) => { each.dataset.was = each.open ? "open" : ""; each.open = true; });
});
addEventListener("afterprint", () => {
  document.querySelectorAll("details").forEach((each) => { each.open = each.dataset.was === "open"; });
  drawAll();
});
