// What the page works out; run by `node --test`.
import assert from "node:assert/strict";
import test from "node:test";

import {
  heightOf, inParts, inWords, linePoints, lowEnd, momentsOf, pauseOf, problemText, shortReason,
  uniqueNames,
} from "../../../src/probefusion/service/page/logic.js";

const AREA = { width: 100, height: 50, pad: 10, low: 0 };

test("a line goes from left to right, high values up", () => {
  assert.equal(linePoints([0, 0.5, 1], AREA), "10.0,40.0 50.0,25.0 90.0,10.0");
  assert.equal(linePoints([0.5], AREA), "10.0,25.0");
  assert.equal(linePoints([null, 1], AREA), "90.0,10.0");
  assert.equal(heightOf(-3, AREA), 40);
});

test("the lower end shows every value", () => {
  assert.equal(lowEnd([0.3, null, 0.9]), 0);
  assert.equal(lowEnd([-0.31, 0.9]), -0.4);
  assert.equal(lowEnd([]), 0);
});

test("decisions in words", () => {
  assert.match(inWords(true, 0.5, 0.4), /^Match: 0.500 reaches the threshold 0.400/);
  assert.match(inWords(false, 0.3, 0.4), /^No match: 0.300 stays below 0.400/);
  assert.match(inWords(null, 0.3, null), /nothing is decided/);
});

test("files go in parts of bounded number and size, none is lost", () => {
  const files = [1, 1, 1, 9, 1].map((size) => ({ size }));
  const parts = inParts(files, { most: 2, bytes: 8 });
  assert.deepEqual(parts.map((part) => part.map((file) => file.size)), [[1, 1], [1], [9], [1]]);
  assert.deepEqual(inParts([], { most: 2, bytes: 8 }), []);
});

test("frames lie evenly inside a clip", () => {
  assert.deepEqual(momentsOf(2, { perSecond: 2, most: 64 }), [0.25, 0.75, 1.25, 1.75]);
  assert.equal(momentsOf(1000, { perSecond: 4, most: 64 }).length, 64);
  assert.deepEqual(momentsOf(Infinity, { perSecond: 4, most: 64 }), [0]);
});

test("names are made unique", () => {
  assert.deepEqual(uniqueNames(["a", "a", "b"], ["b"]), ["a", "a (2)", "b (2)"]);
});

test("problems are told in words", () => {
  assert.equal(problemText({ detail: "name: too long" }, 422), "name: too long");
  assert.equal(problemText(null, 502), "The service answered with status 502.");
});

test("requests wait as long as the service asks, and longer each time", () => {
  assert.equal(pauseOf(3, 1), 3000);
  assert.deepEqual([1, 2, 3].map((tries) => pauseOf(0, tries)), [500, 1000, 2000]);
  assert.equal(pauseOf(900, 1), 30_000);
});

test("a reason does not say the name again", () => {
  assert.equal(shortReason("image 'a.jpg': no image.", "a.jpg"), "no image.");
  assert.equal(shortReason("a.jpg: no face", "a.jpg"), "no face");
  assert.equal(shortReason("no face", "a.jpg"), "no face");
});
