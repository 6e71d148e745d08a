// Shows one chain at a time, coloured by what the reader chooses. Data: see scenes.py.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const chains = document.getElementById("chain");
const modes = document.getElementById("mode");
const key = document.getElementById("key");
const box = document.getElementById("scene");

function options(select, names) {
  for (const name of names) select.append(new Option(name, name));
}

function legend(mode) {
  key.replaceChildren();
  for (const [name, colour] of data.legends[mode]) {
    const mark = document.createElement("span");
    mark.style.background = colour;
    key.append(mark, ` ${name}  `);
  }
}

function lines(viewer, chain) {
  const place = {};
  for (const atom of viewer.selectedAtoms({ atom: "CA" })) place[atom.resi] = atom;
  for (const [first, second, colour] of chain.lines) {
    const [start, end] = [place[first], place[second]];
    if (start && end) viewer.addCylinder({ start, end, radius: 0.15, color: colour, dashed: false });
  }
}

function draw(viewer, keepView) {
  const chain = data.chains[chains.selectedIndex];
  const view = viewer.getView();
  const colours = chain.colours[modes.value];
  viewer.clear();
  viewer.addModel(chain.pdb, "pdb");
  viewer.setStyle({}, { cartoon: { colorfunc: (atom) => colours[atom.resi - 1] } });
  lines(viewer, chain);
  keepView ? viewer.setView(view) : viewer.zoomTo();
  viewer.render();
  legend(modes.value);
  box.setAttribute("aria-label", `${chain.id}, coloured by ${modes.value}`);
}

options(chains, data.chains.map((chain) => chain.id));
options(modes, Object.keys(data.legends));
try {
  const viewer = $3Dmol.createViewer(box, { backgroundColor: "white" });
  chains.addEventListener("change", () => draw(viewer, false));
  modes.addEventListener("change", () => draw(viewer, true));
  draw(viewer, false);
} catch (error) {
  box.textContent = `This browser cannot show the chain: it needs WebGL (${error.message || error}).`;
}
