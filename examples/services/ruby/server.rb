# Tells how many of an item are left, by one call to a stock service with Ruby's own client.
require "json"
require "net/http"
require "socket"

$stdout.sync = true

def left(item, headers)
  stock = URI("#{ENV.fetch("STOCK", "https://stock.example")}/items/#{item}")
  # What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
  JSON.parse(Net::HTTP.get(stock, headers.slice("traceparent", "tracestate"))).fetch("left")
end

def answer(client)
  path = client.gets.to_s.split[1]
  return if path.nil?

  headers = {}
  while (line = client.gets.to_s.chomp) != ""
    name, value = line.split(": ", 2)
    headers[name.downcase] = value
  end
  item = path.split("/").last
  body = JSON.generate(item: item, left: left(item, headers) + (ENV["DEFECT"] ? 1 : 0))
  client.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: #{body.bytesize}\r\n" \
               "connection: close\r\n\r\n#{body}")
rescue StandardError => e
  warn e.full_message
  client.write("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
ensure
  client.close
end

server = TCPServer.new("127.0.0.1", Integer(ENV.fetch("PORT")))
loop { Thread.new(server.accept) { |client| answer(client) } }
