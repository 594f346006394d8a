/* One's own pictures on their way to a training: found in what was dropped, named by class, packed to be sent. */
"use strict";

gan.parcels = (() => {
  const PICTURE = /\.(png|jpe?g|jpe|jfif|webp|bmp|gif|tiff?|ppm|pgm)$/i;
  const SYSTEM = /(^|\/)(\.|__MACOSX\/|@eaDir\/|\$RECYCLE\.BIN\/|System Volume Information\/|lost\+found\/)/; // no person's picture lies there
  const PARCEL = { files: 200, bytes: 900_000 }; // at the most
  const LARGE = { bytes: 200_000, side: 512 }; // a larger file is made smaller here, and loses nothing that a GAN would see
  const QUALITIES = [0.9, 0.75, 0.5]; // of its JPEG, until it fits

  async function* walk(entry, path = "") {
    if (entry.isFile) {
      yield [path + entry.name, await new Promise((done, failed) => entry.file(done, failed))];
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) return;
      for (const one of some) yield* walk(one, `${path}${entry.name}/`);
    }
  }

  /* As train.py reads a folder: `class/file` or `file`; a folder around all is none. What lies deeper is of its class too. A
     few pictures beside classes are left out, and a few in a folder beside the others make no class; nor do those of a single
     folder with others beside it. */
  function classed(all) {
    let parts = all.map(([name, file]) => [name.split("/"), file]);
    const around = ([path]) => path.length > 1 && path[0] === parts[0][0][0];
    while (parts.length && parts.every(around)) parts = parts.map(([path, file]) => [path.slice(1), file]);
    const inside = parts.filter(([path]) => path.length > 1);
    const several = inside.length === parts.length || new Set(inside.map(([[first]]) => first)).size > 1;
    const kept = several && 2 * inside.length >= parts.length ? inside : parts.map(([path, file]) => [[path.join("-")], file]);
    const named = kept.map(([[first, ...rest], file]) => [rest.length ? `${first}/${rest.join("-")}` : first, file]);
    return { files: named, beside: parts.length - kept.length };
  }

  /* Of a drop's items, or of chosen files, the pictures: {files: [[name, file]], beside: how many are left out}. Items are
     looked at now: later they are gone. */
  async function dropped(items) {
    const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const all = [];
    for (const entry of entries) for await (const one of walk(entry)) all.push(one);
    return pictures(all);
  }

  const chosen = (files) => pictures([...files].map((file) => [file.webkitRelativePath || file.name, file]));
  const pictures = (all) => classed(all.filter(([name]) => PICTURE.test(name) && !SYSTEM.test(name)));

  async function shrunk(file) {
    if (file.size <= LARGE.bytes) return file;
    const whole = await createImageBitmap(file).catch(() => null);
    if (!whole) return null; // no browser reads it
    const square = Math.min(whole.width, whole.height); // the middle: the training takes no more of it
    const corner = [(whole.width - square) / 2, (whole.height - square) / 2];
    const side = Math.min(square, LARGE.side);
    const drawn = new OffscreenCanvas(side, side);
    const context = drawn.getContext("2d");
    context.fillStyle = "white"; // behind what is transparent, as the training has it
    context.fillRect(0, 0, side, side);
    context.drawImage(whole, ...corner, square, square, 0, 0, side, side);
    whole.close();
    let small;
    for (const quality of QUALITIES) {
      small = await drawn.convertToBlob({ type: "image/jpeg", quality });
      if (small.size <= LARGE.bytes) break;
    }
    return small;
  }

  /* As many forms as it takes, each with how many pictures are left then. Names of large ones that this browser cannot read,
     and so not make smaller, go to `unread`. */
  async function* pack(all, unread) {
    const left = [...all];
    while (left.length) {
      const form = new FormData();
      let count = 0;
      for (let bytes = 0; left.length && count < PARCEL.files && bytes < PARCEL.bytes - LARGE.bytes; ) {
        const [name, file] = left.shift();
        const small = await shrunk(file);
        if (!small) {
          unread.push(name);
          continue;
        }
        count++;
        bytes += small.size;
        form.append("files", small, name);
      }
      if (count) yield [form, left.length];
    }
  }

  // Let go anywhere else a file falls: the browser would open it in the page's place.
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "none";
    });
  }

  return { dropped, chosen, pack };
})();
