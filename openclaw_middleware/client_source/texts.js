/**
 * What the dialog says, by language: one text a line, in the order of `NAMES`.
 *
 * Sentences need no plural: times are formatted by `Intl`. Every text can be replaced by an
 * attribute of the element: `title` by `data-text-title`, and so on. The sentences for the reasons
 * stand in the warning and after the end.
 */

export const NAMES =
  "title ended unverified stale idle absolute limit revoked kept stay out close".split(
    " ",
  );

/** @type {Record<string, string>} */
export const TEXTS = {
  en: `You will be signed out soon
You have been signed out
No connection to the server. Trying again…
Sign in again
You have not been active for a while.
The time of one visit cannot be extended.
You signed in on another device.
Your session was ended elsewhere.
Your input is kept. Sign in in a new tab.
Stay signed in
Sign out
Close`,
  de: `Sie werden bald abgemeldet
Sie wurden abgemeldet
Keine Verbindung zum Server. Neuer Versuch…
Erneut anmelden
Sie waren eine Weile nicht aktiv.
Die Zeit eines Besuchs lässt sich nicht verlängern.
Sie haben sich auf einem anderen Gerät angemeldet.
Ihre Sitzung wurde anderswo beendet.
Ihre Eingaben bleiben. Melden Sie sich in einem neuen Tab an.
Angemeldet bleiben
Abmelden
Schließen`,
  fr: `Vous serez bientôt déconnecté
Vous avez été déconnecté
Serveur injoignable. Nouvel essai…
Se reconnecter
Vous êtes inactif depuis un moment.
La durée d’une visite ne peut être prolongée.
Vous vous êtes connecté sur un autre appareil.
Votre session a été fermée ailleurs.
Votre saisie est conservée. Connectez-vous dans un nouvel onglet.
Rester connecté
Se déconnecter
Fermer`,
  es: `Su sesión se cerrará pronto
Su sesión se ha cerrado
Sin conexión con el servidor. Reintentando…
Iniciar sesión de nuevo
No ha habido actividad.
El tiempo de una visita no se puede ampliar.
Ha iniciado sesión en otro dispositivo.
Su sesión se cerró en otro lugar.
Se conserva lo escrito. Inicie sesión en otra pestaña.
Seguir conectado
Cerrar sesión
Cerrar`,
  zh: `您即将退出登录
您已退出登录
无法连接服务器，正在重试…
重新登录
您长时间未操作。
单次访问时间无法延长。
您已在其他设备登录。
您的会话已在别处结束。
您的输入已保留。请在新标签页登录。
保持登录
退出登录
关闭`,
  ar: `سيتم تسجيل خروجك قريبًا
تم تسجيل خروجك
لا يمكن الاتصال بالخادم. تُعاد المحاولة…
تسجيل الدخول مجددًا
لم يكن هناك نشاط منذ فترة.
لا يمكن تمديد وقت الزيارة.
تم تسجيل دخولك على جهاز آخر.
تم إنهاء جلستك من مكان آخر.
تم حفظ مدخلاتك. سجّل الدخول في علامة تبويب جديدة.
البقاء مسجّلًا
تسجيل الخروج
إغلاق`,
};

/**
 * The first of the wanted languages there are texts in, `zh` for `zh-Hans-CN`; else English.
 * @param {string[]} wanted
 */
export const choose = (...wanted) =>
  wanted.map((tag) => tag.toLowerCase().split(/[-_]/)[0]).find((each) => TEXTS[each]) || "en";

/**
 * The text of that name, "" where there is none.
 * @param {string} name
 * @param {string} language
 */
export const text = (name, language) =>
  TEXTS[language].split("\n")[NAMES.indexOf(name)] || "";

/**
 * What is read aloud of the time left: whole minutes, then steps of 20 seconds, so that it is said
 * rarely.
 * @param {number} seconds
 * @param {string} language
 */
export function paced(seconds, language) {
  const unit = seconds > 60 ? "minute" : "second";
  const value = seconds > 60 ? Math.ceil(seconds / 60) : Math.ceil(seconds / 20) * 20;
  return value.toLocaleString(language, { style: "unit", unit, unitDisplay: "long" });
}
