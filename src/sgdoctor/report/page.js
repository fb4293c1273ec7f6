// Draws every figure of the page, in the colours of the scheme that the reader has chosen.
function draw() {
  const style = getComputedStyle(document.body);
  const faint = style.getPropertyValue("--line").trim();
  const clear = "rgba(0,0,0,0)";
  const axis = { gridcolor: faint, zerolinecolor: faint, linecolor: faint, automargin: true };
  for (const place of document.querySelectorAll("[data-plot]")) {
    const plot = JSON.parse(document.getElementById(place.dataset.plot).textContent);
    const layout = {
      ...plot.layout,
      xaxis: { ...plot.layout.xaxis, ...axis },
      yaxis: { ...plot.layout.yaxis, ...axis },
      font: { color: style.color, family: style.fontFamily, size: 13 },
      paper_bgcolor: clear,
      plot_bgcolor: clear,
    };
    Plotly.react(place, plot.data, layout, { responsive: true, displaylogo: false, displayModeBar: false });
  }
}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
