// For browsers without modules: the plain MJPEG picture, as without any script.
(function () {
  var spare = document.getElementsByTagName('noscript')[0];
  if (spare) spare.insertAdjacentHTML('afterend', spare.textContent);
})();
