-- Noisette for Aseprite: draws, varies or fills in the selection with a model of the running `noisette studio`, and puts
-- each result on a layer of its own. Needs Aseprite 1.3 and curl, which Windows, macOS and most Linux systems have.
-- How to install and use it: docs/editors.md of Noisette.

local DRAW, VARY, FILL = "draw new pictures", "vary", "fill in the selection"
local MAX_SECONDS = 600 -- that one request may take

-- ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────

local function fail(message)
  error({ message = message }, 0)
end

-- A text in double quotes, for JSON.
local function quote(text)
  local escaped = text:gsub('[%c"\\]', function(c)
    return string.format("\\u%04x", c:byte())
  end)
  return '"' .. escaped .. '"'
end

-- A text in double quotes, for a config file of curl.
local function quote_option(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

-- A list of texts as JSON.
local function encode_texts(texts)
  local quoted = {}
  for i, text in ipairs(texts) do
    quoted[i] = quote(text)
  end
  return "[" .. table.concat(quoted, ",") .. "]"
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function encode_base64(data)
  local parts = {}
  for i = 1, #data, 3 do
    local a, b, c = data:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    local four = ""
    for shift = 18, 0, -6 do
      local at = (n >> shift & 63) + 1
      four = four .. DIGITS:sub(at, at)
    end
    parts[#parts + 1] = c and four or b and four:sub(1, 3) .. "=" or four:sub(1, 2) .. "=="
  end
  return table.concat(parts)
end

local VALUES = {}
for i = 1, #DIGITS do
  VALUES[DIGITS:byte(i)] = i - 1
end

local function decode_base64(text)
  local parts, n, bits = {}, 0, 0
  for i = 1, #text do
    local value = VALUES[text:byte(i)]
    if value then
      n, bits = (n << 6 | value) & 0xffffff, bits + 6
      if bits >= 8 then
        bits = bits - 8
        parts[#parts + 1] = string.char(n >> bits & 255)
      end
    end
  end
  return table.concat(parts)
end

-- ── files: in Aseprite's own folder, where other users of the machine cannot write ────────────────────────────────

local function temporary(name)
  return app.fs.joinPath(app.fs.userConfigPath, "noisette-" .. name)
end

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then
    fail("cannot read " .. path)
  end
  local data = file:read("a")
  file:close()
  return data
end

local function write_file(path, data)
  local file = io.open(path, "wb")
  if not file then
    fail("cannot write " .. path)
  end
  file:write(data)
  file:close()
end

local function remove_file(path)
  if app.fs.isFile(path) then
    if os.remove then
      os.remove(path)
    else -- some versions of Aseprite have no os.remove
      write_file(path, "")
    end
  end
end

-- ── the studio ────────────────────────────────────────────────────────────────────────────────────────────────────

-- The start of all addresses, and the token, of what `noisette studio` printed.
local function read_address(text)
  local base, rest = text:match("^%s*(https?://[%w%.%-:%[%]]+)/?(%S*)%s*$")
  if not base then
    fail("this is no address: copy the one that noisette studio printed, such as http://127.0.0.1:7860/?token=…")
  end
  return { base = base .. "/gradio_api/call/", token = rest:match("token=([%w_%-]+)") }
end

-- The answer to a request by curl. Its options go through a pipe: other users of the machine can read command lines, and
-- the token is in none. `body`: nil for a GET.
local function request(studio, path, body)
  local out = temporary("answer.txt")
  remove_file(out)
  local options = {
    "silent",
    "url = " .. quote_option(studio.base .. path),
    "output = " .. quote_option(out),
    "max-time = " .. MAX_SECONDS,
    'noproxy = "*"',
    'header = "Content-Type: application/json"',
  }
  if studio.token then
    options[#options + 1] = 'header = "Authorization: Bearer ' .. studio.token .. '"'
  end
  if body then
    options[#options + 1] = "data-binary = " .. quote_option(body)
  end
  local pipe = io.popen("curl --config -", "w")
  if not pipe then
    fail("curl cannot be started: install curl, or allow this script to run it")
  end
  pipe:write(table.concat(options, "\n"), "\n")
  local ok = pipe:close()
  if not ok or not app.fs.isFile(out) then
    fail("the studio does not answer: start noisette studio, and give the address that it prints")
  end
  local answer = read_file(out)
  remove_file(out)
  return answer
end

-- Call a function of the studio's API. `arguments`: a list of JSON texts.
local function call(studio, name, arguments)
  local answer = request(studio, name, '{"data":[' .. table.concat(arguments, ",") .. "]}")
  local event = answer:match('"event_id"%s*:%s*"([%w_%-]+)"')
  if not event then
    fail(#answer < 300 and answer or "the studio gave an answer that is none")
  end
  local stream = request(studio, name .. "/" .. event, nil)
  local result = stream:match("event: complete%s+data: ([^\r\n]*)")
  if not result then
    local reason = stream:match("event: error%s+data: ([^\r\n]*)")
    local known = reason and reason:sub(1, 1) == "{" and json.decode(reason)
    fail(known and known.error or "the studio could not do this")
  end
  return json.decode(result)[1]
end

-- ── pictures ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- Where the model's picture is: around the selection, or the canvas, and inside the canvas where that is larger.
local function find_window(sprite, width, height)
  local selected = not sprite.selection.isEmpty
  local box = selected and sprite.selection.bounds or sprite.bounds
  if box.width > width or box.height > height then
    fail(string.format(
      "the %s has %d×%d pixels, and the model draws %d×%d: select at most that", selected and "selection" or "canvas",
      box.width, box.height, width, height))
  end
  local x = box.x + (box.width - width) // 2
  local y = box.y + (box.height - height) // 2
  if sprite.width >= width then
    x = math.max(0, math.min(x, sprite.width - width))
  end
  if sprite.height >= height then
    y = math.max(0, math.min(y, sprite.height - height))
  end
  return Rectangle(x, y, width, height)
end

-- What is visible in the window, as RGB with alpha.
local function copy_window(sprite, window)
  local image = Image(window.width, window.height, ColorMode.RGB)
  image:drawSprite(sprite, app.frame.frameNumber, Point(-window.x, -window.y))
  return image
end

-- For each row of the window a text: 1 for the pixels that are selected; without a selection, for the transparent ones.
local function mark_rows(sprite, window, image)
  local rows, count = {}, 0
  for y = 0, window.height - 1 do
    local row = {}
    for x = 0, window.width - 1 do
      local is_marked
      if sprite.selection.isEmpty then
        is_marked = app.pixelColor.rgbaA(image:getPixel(x, y)) == 0
      else
        is_marked = sprite.selection:contains(window.x + x, window.y + y)
      end
      row[#row + 1] = is_marked and "1" or "0"
      count = count + (is_marked and 1 or 0)
    end
    rows[#rows + 1] = table.concat(row)
  end
  return rows, count
end

local function encode_picture(image)
  local path = temporary("picture.png")
  image:saveAs(path)
  local data = read_file(path)
  remove_file(path)
  return encode_base64(data)
end

local function decode_picture(text)
  local path = temporary("picture.png")
  write_file(path, decode_base64(text))
  local image = Image{ fromFile = path }
  remove_file(path)
  return image
end

-- Red, green, blue and alpha of a pixel of an image that was read from a file.
local function split_color(image, value)
  local color = app.pixelColor
  if image.colorMode == ColorMode.GRAY then
    local v = color.grayaV(value)
    return v, v, v, color.grayaA(value)
  end
  return color.rgbaR(value), color.rgbaG(value), color.rgbaB(value), color.rgbaA(value)
end

-- A function from red, green, blue and alpha to a pixel of the sprite, in whatever color mode it has.
local function make_color(sprite)
  if sprite.colorMode == ColorMode.RGB then
    return app.pixelColor.rgba
  end
  if sprite.colorMode == ColorMode.GRAY then
    return function(r, g, b, a)
      return app.pixelColor.graya((r * 299 + g * 587 + b * 114 + 500) // 1000, a)
    end
  end
  local palette, known = sprite.palettes[1], {}
  return function(r, g, b, a)
    if a < 128 then
      return sprite.transparentColor
    end
    local key = r << 16 | g << 8 | b
    if not known[key] then
      local best = math.huge
      for i = 0, #palette - 1 do
        local c = palette:getColor(i)
        local distance = (c.red - r) ^ 2 + (c.green - g) ^ 2 + (c.blue - b) ^ 2
        if i ~= sprite.transparentColor and distance < best then
          known[key], best = i, distance
        end
      end
    end
    return known[key] or sprite.transparentColor
  end
end

-- Put a picture on a new layer; only its pixels where `rows` has a 1, if there are rows.
local function add_layer(sprite, window, picture, rows, name)
  local image = Image(window.width, window.height, sprite.colorMode)
  local to_pixel = make_color(sprite)
  image:clear(to_pixel(0, 0, 0, 0))
  for y = 0, window.height - 1 do
    for x = 0, window.width - 1 do
      if not rows or rows[y + 1]:sub(x + 1, x + 1) == "1" then
        image:drawPixel(x, y, to_pixel(split_color(picture, picture:getPixel(x, y))))
      end
    end
  end
  local layer = sprite:newLayer()
  layer.name = name
  sprite:newCel(layer, app.frame.frameNumber, image, Point(window.x, window.y))
end

-- ── dialogs ───────────────────────────────────────────────────────────────────────────────────────────────────────

local function ask_address()
  local dialog = Dialog("Noisette")
  dialog:entry{ id = "address", label = "Address that noisette studio printed", text = NOISETTE_ADDRESS or "" }
  dialog:button{ id = "ok", text = "Connect", focus = true }
  dialog:button{ id = "cancel", text = "Cancel" }
  dialog:show()
  return dialog.data.ok and dialog.data.address
end

local function ask_options(models)
  local known = NOISETTE_OPTIONS or { action = VARY, label = "", strength = 50, number = 1, seed = 0 }
  local dialog = Dialog("Noisette")
  dialog:combobox{ id = "model", label = "Model", option = known.model or models[1], options = models }
  dialog:combobox{ id = "action", label = "Do", option = known.action, options = { DRAW, VARY, FILL } }
  dialog:entry{ id = "label", label = "Label or caption", text = known.label }
  dialog:slider{ id = "strength", label = "Strength of vary, %", min = 1, max = 100, value = known.strength }
  dialog:slider{ id = "number", label = "Pictures", min = 1, max = 8, value = known.number }
  dialog:number{ id = "seed", label = "Seed", text = tostring(known.seed), decimals = 0 }
  dialog:button{ id = "ok", text = "OK", focus = true }
  dialog:button{ id = "cancel", text = "Cancel" }
  dialog:show()
  return dialog.data.ok and dialog.data
end

local function main()
  local sprite = app.sprite
  if not sprite then
    fail("open a sprite first")
  end
  local address = ask_address()
  if not address then
    return
  end
  local studio = read_address(address)
  local models = {}
  for i, name in ipairs(call(studio, "models", {})) do
    models[i] = name
  end
  NOISETTE_ADDRESS = address -- both are kept until Aseprite is closed, and never written to a file
  local options = ask_options(models)
  if not options then
    return
  end
  NOISETTE_OPTIONS = options

  local model = call(studio, "describe", { quote(options.model) })
  local window = find_window(sprite, model.width, model.height)
  local image = copy_window(sprite, window)
  local rows, count = mark_rows(sprite, window, image)
  local is_caption = model.takes_text and options.label ~= ""
  local label = options.label ~= "" and not is_caption and quote(options.label) or "null"
  local text = is_caption and quote(options.label) or "null"
  local seed, number = string.format("%d", options.seed // 1), string.format("%d", options.number)
  local name, pictures = quote(options.model), nil
  if options.action == DRAW then
    local labels = label == "null" and "null" or "[" .. label .. "]"
    local null = "null"
    pictures = call(studio, "draw", { name, labels, seed, number, null, null, null, null, null, null, text })
  elseif options.action == VARY then
    local strength = string.format("%d", options.strength) .. "e-2"
    local picture = quote(encode_picture(image))
    pictures = call(studio, "vary", { name, picture, strength, label, seed, number, "null", "null", text })
  else
    if count == 0 then
      fail("there is nothing to fill in: select the pixels to draw, or leave some transparent")
    end
    local picture, mask = quote(encode_picture(image)), encode_texts(rows)
    pictures = call(studio, "inpaint", { name, picture, mask, label, seed, number, "5", "null", "null", text })
  end

  local is_cut = options.action == FILL or not sprite.selection.isEmpty
  app.transaction(function()
    for i, picture in ipairs(pictures) do
      local title = string.format("noisette %s, seed %d", options.action, options.seed // 1 + i - 1)
      add_layer(sprite, window, decode_picture(picture.png), is_cut and rows or nil, title)
    end
  end)
  app.refresh()
end

local ok, problem = pcall(main)
if not ok then
  app.alert{ title = "Noisette", text = type(problem) == "table" and problem.message or tostring(problem) }
end
