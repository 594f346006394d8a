/* How pictures get onto a canvas: the tiles of a sheet, and the points of a plane. */
"use strict";

Object.assign(gan, (() => {
  const GAP = 0.012; // between two tiles, as a part of the picture's width
  const REAL = [230, 159, 0];
  const GENERATED = [86, 180, 233];
  const EDGE = 1.1; // of the plane that is shown: its own edge is 1

  /* Frame `at` of a sheet with this layout, its tiles enlarged to the canvas with a gap between them. */
  function paintTiles(canvas, sheet, layout, at = 0) {
    const { frame_columns, frame_width, frame_height, tiles, tile_columns, tile_width, tile_height } = layout;
    const context = canvas.getContext("2d");
    const rows = Math.ceil(tiles / tile_columns);
    const gap = tiles > 1 ? Math.max(1, Math.round(canvas.width * GAP)) : 0;
    const left = (at % frame_columns) * frame_width;
    const top = Math.floor(at / frame_columns) * frame_height;
    const edge = (tile, count, length) => Math.round((tile * (length + gap)) / count);
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, canvas.width, canvas.height); // another film's tiles may have stood where the gaps are
    for (let tile = 0; tile < tiles; tile++) {
      const column = tile % tile_columns;
      const row = Math.floor(tile / tile_columns);
      const x = edge(column, tile_columns, canvas.width);
      const y = edge(row, rows, canvas.height);
      const width = edge(column + 1, tile_columns, canvas.width) - gap - x;
      const height = edge(row + 1, rows, canvas.height) - gap - y;
      const from = [left + column * tile_width, top + row * tile_height, tile_width, tile_height];
      context.drawImage(sheet, ...from, x, y, width, height);
    }
  }

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

  /* The discriminator's verdict as a field of colour, real points as rings and generated ones as dots. */
  function paintPlane(context, side, plane, generated) {
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
    const ground = getComputedStyle(context.canvas).getPropertyValue("--body-background-fill");
    const draw = (points, style, lineWidth, paint) => {
      Object.assign(context, { lineWidth, strokeStyle: style, fillStyle: style });
      for (const point of points) {
        context.beginPath();
        context.arc(...place(point), radius, 0, 2 * Math.PI);
        context[paint]();
      }
    };
    draw([...plane.real, ...generated], ground, 3, "stroke"); // the halo of all lies under all
    context.globalAlpha = 0.8;
    draw(plane.real, ink, 1, "stroke");
    context.globalAlpha = 1;
    draw(generated, ink, 1, "fill");
  }

  return { paintTiles, paintPlane };
})());
