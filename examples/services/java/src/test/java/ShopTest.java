import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** A test written by hand, which {@code softprobe exec -- mvn test} gives a runtime and the service to. */
class ShopTest {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static final String SESSIONS = System.getenv("SOFTPROBE_RUNTIME_URL") + "/v1/sessions";
    private static final String NO_STOCK = """
            {"version": 1, "rules": [{"name": "stock", "when": {"host": "stock.example"},
             "then": {"action": "mock", "response": {"body": {"left": 0}}}}]}""";

    @Test
    void anItemThatIsSoldOut() throws IOException, InterruptedException {
        String id = post(SESSIONS, "{\"mode\": \"replay\"}").replaceAll("(?s).*\"sessionId\": ?\"([^\"]+)\".*", "$1");
        String session = SESSIONS + "/" + id;
        try {
            post(session + "/load-case", Files.readString(Path.of("..", "item.case.json")));
            post(session + "/policy", "{\"externalHttp\": \"strict\"}");
            post(session + "/rules", NO_STOCK);
            HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("APP_URL") + "/client/7"))
                    .header("x-softprobe-session-id", id)
                    .header("tracestate", "x-softprobe-session-id=" + id)
                    .build();
            assertEquals("{\"item\":\"7\",\"left\":0}", CLIENT.send(request, BodyHandlers.ofString()).body());
        } finally {
            post(session + "/close", "{}");
        }
    }

    private static String post(String url, String body) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
                .header("content-type", "application/json")
                .POST(BodyPublishers.ofString(body))
                .build();
        HttpResponse<String> answer = CLIENT.send(request, BodyHandlers.ofString());
        assertEquals(200, answer.statusCode(), answer.body());
        return answer.body();
    }
}
