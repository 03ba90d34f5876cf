import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.util.concurrent.Executors;

/**
 * An application under test: a request for /METHOD makes one outbound call with that method. The call's body is
 * streamed, so the client can't repeat it on a new connection when a pooled one turns out to be closed.
 */
public class Shop {
    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", Shop::answer);
        server.start();
        System.out.println(server.getAddress().getPort());
        // Ends with whoever started it.
        System.in.read();
        System.exit(0);
    }

    private static void answer(HttpExchange exchange) throws java.io.IOException {
        byte[] answer;
        int status = 200;
        try {
            answer = call(
                exchange.getRequestURI().getPath().substring(1),
                exchange.getRequestHeaders().getFirst("x-softprobe-session-id"));
        } catch (Exception error) {
            status = 500;
            answer = error.toString().getBytes();
        }
        exchange.sendResponseHeaders(status, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    private static byte[] call(String method, String session) throws Exception {
        byte[] body = "{\"x\":1}".getBytes();
        URL url = new URL("http://stock.example/items");
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        connection.setRequestMethod(method);
        connection.setDoOutput(true);
        connection.setFixedLengthStreamingMode(body.length);
        connection.setRequestProperty("content-type", "application/json");
        connection.setRequestProperty("x-softprobe-session-id", session);
        connection.getOutputStream().write(body);
        try (InputStream in = connection.getInputStream()) {
            return in.readAllBytes();
        }
    }
}
