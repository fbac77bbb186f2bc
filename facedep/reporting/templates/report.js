"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);
const places = [...document.querySelectorAll(".plot")];
places.forEach((place, number) => {
  const options = {displayModeBar: false, responsive: true};
  Plotly.newPlot(place, charts[number].data, charts[number].layout, options);
});
const isStill = (place) => !place.querySelector(".sankey");  // that one takes its time to move, and fits as it is
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("printing");
  places.filter(isStill).forEach((place) => Plotly.relayout(place, {width: place.clientWidth}));
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("printing");
  places.filter(isStill).forEach((place) => Plotly.relayout(place, {width: null, autosize: true}));
});
