// The picture of the home page: each press is one training pass, with masks of its own
const picture = document.querySelector(".network");

picture.querySelector("button").addEventListener("click", () => {
  const dropped = new Set();
  const counts = [0, 0];
  for (const unit of picture.querySelectorAll("[data-unit]")) {
    const drop = Math.random() < 0.5; // each unit by its own coin
    unit.classList.toggle("dropped", drop);
    if (drop) {
      dropped.add(unit.dataset.unit);
      counts[unit.dataset.unit[0] - 1] += 1;
    }
  }
  for (const path of picture.querySelectorAll("[data-ends]"))
    path.classList.toggle("cut", path.dataset.ends.split(" ").some(end => dropped.has(end)));
  picture.querySelectorAll("b").forEach((b, layer) => { b.textContent = counts[layer]; });
});
