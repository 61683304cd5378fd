// Dragging over a graph with a finger: uPlot handles the mouse only.

import type uPlot from "uplot";

/** Turns a sideways finger into a dragging mouse; up and down still scrolls. */
export function touches(u: uPlot): () => void {
  const { over } = u;
  let finger: number | null = null;
  const as = (type: string, event: PointerEvent) => {
    const mouse = new MouseEvent(type, { clientX: event.clientX, clientY: event.clientY, bubbles: true });
    // uPlot ignores a mouse that has not moved.
    Object.defineProperty(mouse, "movementX", { value: 1 });
    over.dispatchEvent(mouse);
  };
  const down = (event: PointerEvent) => {
    if (event.pointerType === "mouse" || !event.isPrimary) return;
    finger = event.pointerId;
    as("mousemove", event);
    as("mousedown", event);
  };
  const move = (event: PointerEvent) => {
    if (event.pointerId === finger) as("mousemove", event);
  };
  const up = (event: PointerEvent) => {
    if (event.pointerId !== finger) return;
    finger = null;
    // The page scrolls instead: nothing has been selected.
    if (event.type === "pointercancel") u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    as("mouseup", event);
  };
  const events: [string, (event: PointerEvent) => void][] = [
    ["pointerdown", down],
    ["pointermove", move],
    ["pointerup", up],
    ["pointercancel", up],
  ];
  for (const [type, listener] of events) over.addEventListener(type, listener as EventListener);
  return () => {
    for (const [type, listener] of events) over.removeEventListener(type, listener as EventListener);
  };
}
