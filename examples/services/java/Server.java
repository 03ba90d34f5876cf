import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Tells how many of an item are left, by one call to a stock service. The first part of the path says by which client:
 * /client is java.net.http.HttpClient, /connection is HttpURLConnection.
 */
public class Server {
    private static final String STOCK =
            System.getenv().getOrDefault("STOCK", "https://stock.example") + "/items/";
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", Server::answer);
        server.setExecutor(Executors.newFixedThreadPool(32));
        server.start();
    }

    private static void answer(HttpExchange exchange) throws IOException {
        String[] path = exchange.getRequestURI().getPath().split("/");
        int status = 200;
        String body;
        try {
            String found = path[1].equals("client") ? withClient(exchange, path[2]) : withConnection(exchange, path[2]);
            Matcher left = Pattern.compile("\"left\": ?(\\d+)").matcher(found);
            if (!left.find()) {
                throw new IOException("no stock in " + found);
            }
            int wrong = System.getenv("DEFECT") != null ? 1 : 0;
            body = "{\"item\":\"" + path[2] + "\",\"left\":" + (Integer.parseInt(left.group(1)) + wrong) + "}";
        } catch (Exception error) {
            error.printStackTrace();
            status = 502;
            body = "{\"error\":\"no stock\"}";
        }
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("content-type", "application/json");
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    // What any OpenTelemetry instrumentation does: the trace headers of the request go onto the calls that it causes.
    private static final List<String> TRACED = List.of("traceparent", "tracestate");

    private static String withClient(HttpExchange exchange, String item) throws IOException, InterruptedException {
        HttpRequest.Builder call = HttpRequest.newBuilder(URI.create(STOCK + item));
        for (String name : TRACED) {
            String value = exchange.getRequestHeaders().getFirst(name);
            if (value != null) {
                call.header(name, value);
            }
        }
        return CLIENT.send(call.build(), BodyHandlers.ofString()).body();
    }

    private static String withConnection(HttpExchange exchange, String item) throws IOException {
        HttpURLConnection call = (HttpURLConnection) URI.create(STOCK + item).toURL().openConnection();
        for (String name : TRACED) {
            String value = exchange.getRequestHeaders().getFirst(name);
            if (value != null) {
                call.setRequestProperty(name, value);
            }
        }
        return new String(call.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
}
