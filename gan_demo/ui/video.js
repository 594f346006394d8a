/* A film as a video file, made by the browser itself in the time that it plays. */
"use strict";

(() => {
  /* Rest until the page is in sight again. */
  async function pause(recorder) {
    if (recorder.state === "recording") recorder.pause();
    while (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    if (recorder.state === "paused") recorder.resume();
  }

  gan.record = async (paint, { width, height, frames, rate, name }) => {
    const SIDE = 480; // pixels at least
    const KINDS = ["video/mp4;codecs=avc1", "video/webm;codecs=vp9", "video/webm"];
    const kind = KINDS.find((one) => window.MediaRecorder?.isTypeSupported(one));
    if (!kind) throw new Error("This browser cannot record video: use a newer one.");

    const scale = 2 * Math.max(1, Math.round(SIDE / height / 2)); // even sides: video codecs ask for them
    const canvas = Object.assign(document.createElement("canvas"), { width: width * scale, height: height * scale });
    paint(canvas, 0);
    const stream = canvas.captureStream();
    const recorder = new MediaRecorder(stream, { mimeType: kind, videoBitsPerSecond: 8_000_000 });
    const parts = [];
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    const stopped = new Promise((resolve, reject) => {
      recorder.addEventListener("stop", resolve, { once: true });
      recorder.addEventListener("error", () => reject(new Error("This browser could not record the video: try again.")));
    });
    stopped.catch(() => {}).finally(() => stream.getTracks().forEach((track) => track.stop()));
    recorder.start();
    for (let frame = 0; frame < frames; frame++) {
      if (document.hidden) await pause(recorder); // a hidden page has its timers once a second
      paint(canvas, frame);
      await new Promise((resolve) => setTimeout(resolve, 1000 / rate));
    }
    if (recorder.state !== "inactive") recorder.stop(); // else it has failed
    await stopped;
    gan.download(new Blob(parts, { type: kind }), `${name}.${kind.startsWith("video/mp4") ? "mp4" : "webm"}`);
  };
})();
