/* A GAN of points: the discriminator's verdict as a field of colour, real points as rings and generated ones as dots. */
"use strict";

gan.paintPlane = (() => {
  const REAL = [230, 159, 0];
  const GENERATED = [86, 180, 233];
  const EDGE = 1.1; // of the plane that is shown: its own edge is 1

  const field = Object.assign(document.createElement("canvas"), { width: 0, height: 0 });

  /* The verdicts, 0 to 1, as a picture of one pixel each; where the discriminator cannot tell, it is clear. */
  function drawField({ side, field: verdicts }) {
    Object.assign(field, { width: side, height: side });
    const pixels = new ImageData(side, side);
    verdicts.forEach((verdict, i) => {
      const sure = Math.min(1, 2 * Math.abs(verdict - 0.5));
      pixels.data.set([...(verdict > 0.5 ? REAL : GENERATED), 220 * Math.sqrt(sure)], 4 * i);
    });
    field.getContext("2d").putImageData(pixels, 0, 0);
  }

  return (context, side, plane, generated) => {
    const place = ([x, y]) => [((x / EDGE + 1) / 2) * side, ((1 - y / EDGE) / 2) * side];
    const ink = getComputedStyle(context.canvas).color;
    const radius = Math.max(2, side / 150);
    context.clearRect(0, 0, side, side);
    if (plane.field.length) {
      drawField(plane);
      const cell = (side / EDGE) / (plane.side - 1); // the outermost verdicts stand on the plane's edge
      const [left, top] = place([-1, 1]);
      context.imageSmoothingEnabled = true;
      context.drawImage(field, left - cell / 2, top - cell / 2, cell * plane.side, cell * plane.side);
    }
    const dot = (point, paint) => {
      context.beginPath();
      context.arc(...place(point), radius, 0, 2 * Math.PI);
      context[paint]();
    };
    context.strokeStyle = context.fillStyle = ink;
    context.globalAlpha = 0.45;
    for (const point of plane.real) dot(point, "stroke");
    context.globalAlpha = 1;
    for (const point of generated) dot(point, "fill");
  };
})();
