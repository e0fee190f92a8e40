var ue="pointerdown keydown wheel touchmove input",de="visibilitychange resume focus online";function fe(n,t,s){for(let d of n.split(" "))addEventListener(d,t,{capture:!0,passive:!0,signal:s})}var pe=0,he=0,me=0,x=()=>Date.now(),N=()=>performance.now(),ge=()=>[x()-he,N()-me];function $(n,t){pe=n,he=t,me=N()-x()+t}var U=()=>pe+Math.max(...ge())/1e3;function Q(){let[n,t]=ge();return Math.abs(n-t)>2e3}var Ne=1e4;async function ee(n,t){let s=x(),d,m;try{d=await fetch(n,{method:t&&"POST",headers:{"content-type":"application/json","x-session-client":"1"},body:JSON.stringify(t),cache:"no-store",redirect:"manual",keepalive:!0,signal:AbortSignal.timeout(Ne)});let{status:f,type:v}=d,u=await d.text();if((f==200||v=="opaqueredirect")&&(m={state:"login_page",now:0}),f==200||f==401){let p=JSON.parse(u);m=p?.state&&p.now>0?p:void 0}}catch{}return{answer:m,at:s,response:d}}var J=n=>({session:n,acted:0,told:0,beat:0});function be(n,t){let s=J(),d,m;function f(){try{return Object(JSON.parse(localStorage[n]))}catch{return J()}}function v(){let a=f();return a.session==s.session&&(s=a),Math.max(s.acted,s.beat)<x()+1e3||(s=J(s.session)),s}function u(a){Object.assign(v(),a);try{localStorage[n]=JSON.stringify(s)}catch{}}function p(){m?.close(),m=void 0}function k(a=s.session){if(a!=s.session&&(s=J(a),p(),u({})),!(!a||m))try{m=new BroadcastChannel(n+a),m.onmessage=c=>t(c.data)}catch{}}return{read:v,write:u,join:k,leave:p,news(){let{session:a}=f(),c=a&&a!=s.session&&a!=d;return d=a,c},post(a){m?.postMessage(a)},async alone(a){try{let c={ifAvailable:!0};return await navigator.locks.request(n,c,_=>!!_&&a())}catch{return a()}}}}var _e=1e3,Le=5,Oe=100,je=60,Re=5,D=class extends EventTarget{constructor(t={}){super();let s=new URL(t.base||".",import.meta.url).href,d=be("session-keeper:"+s,Ie),{read:m,write:f,post:v}=d,u,p=!1,k=1/0,a=1/0,c="unknown",_,O,r=!1,S=0,j=0,E=0,C=-1/0,R=!1,y=!1,g=!1,K,h;this.start=()=>{if(h)return;h=new AbortController;let{signal:e}=h,o=(i,b)=>fe(i,b,e);o(ue,i=>i.isTrusted&&Y()),o(de,i=>i.target.tagName||Ee()),o("pagehide",d.leave),o("pageshow",i=>{d.join(),i.persisted&&I()}),o("storage",()=>d.news()&&I()),d.join();let{atLoad:l}=t;l&&Math.abs(l.now-x()/1e3)<30&&G(l,x()),K=setInterval(A,_e),A()},this.stop=()=>{h?.abort(),h=void 0,clearInterval(K),d.leave()};let V=()=>Math.min(k,a)-U(),B=this.status=()=>({...u,phase:c,left:c=="absolute"?a-U():V(),offline:r,...O}),I=this.check=()=>{y=!0,E=0,A()};this.extend=()=>{g=!0,f({acted:x()}),I()},this.logout=async()=>{let e=await F("logout",{});return e?(H("ended","signed_out"),v({out:!0})):y=!0,A(),!!e},this.dismiss=()=>{_=c,A()},this.heard=({status:e,redirected:o,url:l})=>{let i=e==401||o&&l.includes(t.loginUrl||`
`);return i&&I(),i};let T=()=>t.path||location.pathname;function Y(){!p||c=="idle"||N()-C<1e3||(C=N(),f({acted:x()}),A())}function Ee(){let e=c=="active"||c=="none",o=u&&U()-u.now<(e?u.heartbeat_interval:2);r||!o&&document.visibilityState=="visible"?I():A()}function A(){if(!h)return;let e=ne();oe(),e&&!R&&N()>=E&&Te()}function te(e){return[k<a-1?k-e.warning_lead:1/0,a-e.absolute_warning_lead,Math.min(k,a)]}function ne(){if(g)return"heartbeat";if(!u||y||p&&Q())return"status";if(!p)return"";let{acted:e,told:o,beat:l}=m(),i=u.now,b=U(),w=te(u);if(w.some(L=>i<L&&L<=b))return e>o&&b<w[2]?"heartbeat":"status";let M=x()-l>=1e3*u.heartbeat_interval&&b>=i+(u.next_heartbeat||0);return e>o&&M&&"heartbeat"}async function Te(){R=!0;let e=g||y||!u||j>=Re,o=async()=>{let l=ne();return l&&await Me(l=="heartbeat"),e||await new Promise(i=>setTimeout(i,Oe)),!0};await(e?o():d.alone(o))||(j++,E=N()+1e3),R=!1,A()}async function Me(e){let{acted:o}=m(),l=g,i=T(),b=await(e?F("heartbeat",{idle:Math.max(0,x()-o)/1e3,path:i}):F("status?path="+encodeURIComponent(i)));if(!b)return;let{answer:w,at:M}=b;y=!1,e&&f({beat:x(),told:o}),G(w,M,!0),v({answer:w,at:M,path:i}),l&&se()=="idle"?E=N()+1e3*(w.next_heartbeat||5):l&&(g=!1),oe()}async function F(e,o){let l=await ee(s+e,o);if(h)return l.answer?(E=0,r&&(r=!1,z("online")),l):Ce(l)}function Ce({response:e}){S=r?S+1:0;let o=V(),l=o>0?Math.max(1,o/4):60,i=Number(e?.headers.get("retry-after"))||0,b=Math.max(Math.min(i,300),Math.min(2**S,l,60));E=N()+b*1e3*(1+Math.random()/4),r||(r=!0,z("offline",{status:e?.status}))}function G(e,o,l){let i=u,b=i?i.now-e.now:0;if(b>0&&b<je)return;let w=p,M=V(),{state:L,session:X,signed_in:ie}=e;j=0,e.now&&$(e.now,o),u={...i,...e,now:e.now||i?.now||0};let ae=!X||L=="ended";if(ae||!(ie||t.anonymous)){let P=ae?L:"replaced",le=e.reason||"gone";return l&&w&&M>Le&&le!="signed_out"&&!m().lost&&(f({lost:!0}),ee(s+"lost",{state:P,believed_left:M})),H(P,le)}let re=P=>e.now+Math.max(1,P??1/0),ce=re(e.idle_left),Ae=ce>k+1,Z=X==i?.session;p=!0,O=void 0,k=ce,a=re(e.absolute_left),Z||(v({}),d.join(X)),w&&!Z&&z("changed"),i&&ie&&!(w&&i.signed_in)&&z("signed-in"),w&&Z&&Ae&&z("extended")}function H(e,o){p&&(O={state:e,reason:o}),p=g=!1}function Ie({answer:e,at:o,path:l,out:i}){if(i)H("ended","signed_out");else if(e)if(!e.session||l==T())G(e,o);else if(c=="active")$(e.now,o);else return I();else return I();A()}let oe=()=>{let e=c;c=se(),c!=e&&(c=="idle"||c=="absolute"?z("warning"):c!="none"&&c!="active"&&z(c)),this.dispatchEvent(new Event("change"))};function se(){if(O)return"ended";if(!u)return"unknown";if(!p)return"none";let e=u.now,o=U(),[l,i,b]=te(u);if(!r&&(Q()||o>=b))return c;if(o>=b)return"unverified";let w=L=>o>=L&&(r||e>=L);if(w(l))return"idle";let M=w(i)?"absolute":u.state=="stale"?"stale":"active";return M==_?"active":(_=void 0,M)}let z=(e,o)=>{let l={detail:{...B(),...o},bubbles:!0};(t.target||this).dispatchEvent(new CustomEvent("session-"+e,l))}}};var ve=`:host{color-scheme:light dark}
dialog{max-width:30em;padding:1.5em;border-radius:.5em;background:var(--session-background,Canvas);color:var(--session-color,CanvasText);font:var(--session-font,1rem/1.5 system-ui)}
::backdrop{background:var(--session-backdrop,#0008)}
.cover::backdrop{background:var(--session-cover,Canvas)}
a:empty,button:empty{display:none}
#countdown{font-size:2em}
#spoken{position:absolute;clip-path:inset(50%)}
button,a{display:inline-block;padding:.6em 1em;margin:.5em .5em 0 0;border:1px solid;border-radius:.5em;background:none;color:inherit;font:inherit}
#stay,#stale{background:var(--session-accent,#1d4ed8);color:var(--session-accent-color,#fff)}`;var Ve="title ended unverified stale idle absolute limit revoked kept stay out close".split(" "),we={en:`You will be signed out soon
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
Close`,de:`Sie werden bald abgemeldet
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
Schließen`,fr:`Vous serez bientôt déconnecté
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
Fermer`,es:`Su sesión se cerrará pronto
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
Cerrar`,zh:`您即将退出登录
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
关闭`,ar:`سيتم تسجيل خروجك قريبًا
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
إغلاق`},xe=n=>n.toLowerCase().split("-")[0],ye=(...n)=>n.find(t=>we[xe(t)])||"en",ke=(n,t)=>we[xe(t)].split(`
`)[Ve.indexOf(n)]||"";function Se(n,t){let s=n>60?"minute":"second";return(n>60?Math.ceil(n/60):Math.ceil(n/20)*20).toLocaleString(t,{style:"unit",unit:s,unitDisplay:"long"})}var Ye=[["h2","title","tabindex","-1"],["p","text"],["p","kept"],["p","countdown","aria-hidden","true"],["p","spoken","aria-live","polite"],["p","problem","role","status"],["button","stay"],["a","stale","target","_blank"],["button","close"],["button","out"]],q=class extends HTMLElement{keeper;connectedCallback(){this.keeper=ze(this)}disconnectedCallback(){this.keeper?.stop(),this.shadowRoot?.replaceChildren()}};function W(n,t){for(let s in t)n.setAttribute(s,t[s])}function ze(n){let t=r=>n.getAttribute(r),s=new D({base:t("base"),path:t("path"),loginUrl:t("login-url"),anonymous:n.hasAttribute("anonymous"),atLoad:JSON.parse(t("at-load")||"null"),target:n}),d=n.shadowRoot||n.attachShadow({mode:"open"}),m=new CSSStyleSheet;m.replaceSync(ve),d.adoptedStyleSheets=[m];let f=document.createElement("dialog");d.append(f),W(f,{role:"alertdialog",dir:"auto","aria-labelledby":"title","aria-describedby":"text kept spoken"});let v={};for(let[r,S,j="id",E=S]of Ye){let C=v[S]=document.createElement(r);W(C,{id:S,part:r+" "+S,[j]:E}),f.append(C)}let{title:u,stay:p,close:k}=v;p.onclick=s.extend,k.onclick=s.dismiss,v.out.onclick=s.logout;let a="",c=!1,_=()=>(p.textContent?p:k).click();f.oncancel=r=>{r.preventDefault(),_()},f.onclose=()=>{c&&(_(),O())};function O(){let{phase:r,reason:S,offline:j,left:E}=s.status(),C=r=="idle",R=r=="stale",y=r=="ended",g=C||r=="absolute";if(y&&a!=r){let T=t("on-end");T=="reload"&&location.reload(),T=="redirect"&&location.assign(t("end-url")||t("login-url")||"/")}if(a=r,c=g||R||y||r=="unverified",!c)return f.close();let K=ye(n.lang,document.documentElement.lang,navigator.language),h=(T,Y)=>T?t("data-text-"+Y)??ke(Y||"",K):"",V=Math.max(0,Math.ceil(E)),B=Math.floor(V/60)+":"+`${V%60}`.padStart(2,"0"),I={title:h(c,g?"title":r),text:h(g,r)+h(y,S),kept:h(y,"kept"),countdown:g?B:"",spoken:g?h(g,"title")+": "+Se(V,K):"",problem:h(j&&g,"unverified"),stay:h(C,"stay"),stale:h(R||y,"stale"),close:h(R||g&&!C,"close"),out:h(g,"out")};for(let[T,Y]of Object.entries(I))v[T].textContent!=Y&&(v[T].textContent=Y);W(f,{lang:K,part:"dialog "+r,class:y||r=="unverified"?"cover":""}),W(v.stale,{href:t("login-url")||location.href}),!f.open&&(f.showModal(),u.focus())}return s.addEventListener("change",O),s.start(),s}customElements.get("session-keeper")||customElements.define("session-keeper",q);export{D as SessionKeeper};
